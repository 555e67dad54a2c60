import { expect, test } from "vitest";
import { NONE, type Delta } from "../../src/engine/protocol";
import { gridStep } from "../../src/timeline/draw";
import { layout } from "../../src/timeline/layout";
import { clock, span, Timeline } from "../../src/timeline/timeline";

const about = { recorded: false, seed: "1", version: "0", rows: 0, now: 50, digest: "", expected: null, divergence: null, violations: [], full: false } as Delta["about"];
const row = (t: number, lane: number, flags = 0) => [t, 4, lane, NONE, flags, 0, t];
const delta = (rows: number[][], spans: number[][] = [], spansFrom = 0): Delta => ({
  rows: Uint32Array.from(rows.flat()),
  marks: new Uint32Array(),
  arrows: new Uint32Array(),
  spans: Uint32Array.from(spans.flat()),
  spansFrom,
  bands: [],
  lanes: [],
  texts: rows.map(String),
  about,
});

test("rows at a moment are those that have happened by then", () => {
  const timeline = new Timeline();
  timeline.apply(delta([row(0, 0), row(10, 1), row(10, 0), row(20, 1)]));
  expect([-1, 0, 9, 10, 19, 20, 99].map((time) => timeline.rowsAt(time))).toEqual([0, 1, 1, 3, 3, 4, 4]);
});

test("a poll that ends replaces the one that was open", () => {
  const timeline = new Timeline();
  timeline.apply(delta([row(0, 0)], [[0, 0, 0, 1, 100, NONE, NONE, 0]]));
  expect(timeline.span(0)).toMatchObject({ to: null, outcome: 0 });
  timeline.apply(delta([row(5, 0)], [[0, 0, 0, 1, 100, 1, 5, 1], [0, 1, 5, NONE, 100, NONE, NONE, 0]], 0));
  expect(timeline.spanCount).toBe(2);
  expect(timeline.span(0)).toMatchObject({ to: 5, outcome: 1 });
});

test("the next row with a flag, and the next of the lane, in both directions", () => {
  const timeline = new Timeline();
  timeline.apply(delta([row(0, 0), row(1, 1, 4), row(2, 0), row(3, 1, 4)]));
  expect(timeline.withFlag(4, 1, 1)).toBe(3);
  expect(timeline.withFlag(4, 1, -1)).toBeNull();
  expect(timeline.inLane(0, 0, 1)).toBe(2);
  expect(timeline.inLane(1, 3, -1)).toBe(1);
});

test("it grows past what there was room for", () => {
  const timeline = new Timeline();
  for (let at = 0; at < 1000; at++) timeline.apply(delta([row(at, 0)]));
  expect([timeline.count, timeline.time(999), timeline.rowsAt(500)]).toEqual([1000, 999, 501]);
});

test("lanes stand in sections, consumers under their group, numbers in their order", () => {
  const lane = (kind: "group" | "consumer" | "partition" | "producer", name: string, of = "") => ({ kind, name, of, letter: null });
  const { places } = layout([lane("group", "g", "g"), lane("consumer", "c1", "g"), lane("partition", "o/10"), lane("partition", "o/9"), lane("producer", "p")]);
  expect(places.map((place) => place.label)).toEqual(["p", "o/9", "o/10", "g", "c1"]);
  expect(places.every((place, at) => at === 0 || place.top >= (places[at - 1]?.top ?? 0) + (places[at - 1]?.height ?? 0))).toBe(true);
});

test("times are said as one reads them", () => {
  expect([clock(4021), clock(125_000), span(312), span(9700), span(600_000)]).toEqual(["4.021 s", "2:05.000", "312 ms", "9.7 s", "10 min"]);
});

test("lines of the grid are round and not too near", () => {
  for (const scale of [0.001, 0.14, 0.5, 3]) {
    const step = gridStep(scale);
    expect(step * scale).toBeGreaterThanOrEqual(90 - 1e-9);
    expect(String(step)).toMatch(/^(0\.)?0*[125]0*$/);
  }
});
