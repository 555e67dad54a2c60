/** What the page knows of one run: its rows, marks, polls, arrows and generations, as the worker told them. */

import { NONE, type About, type Band, type Delta, type Lane } from "../engine/protocol";
import { Grow } from "./grow";

export const ROW = 7;
export const MARK = 4;
export const SPAN = 8;
export const ARROW = 6;
/** Longest time that an arrow or an open poll may reach into the window from outside, in rows. */
export const LOOK_BACK = 4000;

export const Flag = {
  woke: 1,
  timedOut: 2,
  expired: 4,
  rebalanced: 8,
  committed: 16,
  refused: 32,
  violated: 64,
  delivered: 128,
  replayed: 256,
  diverged: 512,
} as const;

/** In the order of `Glyph` in `runtime-wasm/src/observer`. */
export const GLYPHS = [
  { sign: "●", name: "request" },
  { sign: "▪", name: "append" },
  { sign: "◉", name: "wake" },
  { sign: "✗", name: "expiry" },
  { sign: "◇", name: "commit" },
  { sign: "⚠", name: "violation" },
  { sign: "⊕", name: "join or new generation" },
  { sign: "⊖", name: "leave" },
  { sign: "○", name: "time is up" },
  { sign: "⚡", name: "fault" },
  { sign: "⊘", name: "refused" },
  { sign: "✖", name: "crash" },
  { sign: "↻", name: "restart" },
  { sign: "⟲", name: "delivered again" },
] as const;

export interface Span {
  lane: number;
  row: number;
  from: number;
  parked: number | null;
  deadline: number;
  endRow: number | null;
  to: number | null;
  /** 0 open, 1 records, 2 nothing, 3 a new share, 4 refused, 5 lost. */
  outcome: number;
}

export class Timeline {
  readonly rows = new Grow();
  readonly marks = new Grow();
  readonly spans = new Grow();
  readonly arrows = new Grow();
  readonly bands: Band[] = [];
  readonly texts: string[] = [];
  lanes: Lane[] = [];
  about: About | null = null;

  apply(delta: Delta): void {
    this.rows.push(delta.rows);
    this.marks.push(delta.marks);
    this.arrows.push(delta.arrows);
    this.spans.cut(delta.spansFrom * SPAN);
    this.spans.push(delta.spans);
    for (const band of delta.bands) this.bands.push(band);
    for (const text of delta.texts) this.texts.push(text);
    this.lanes = delta.lanes;
    this.about = delta.about;
  }

  get count(): number {
    return this.rows.length / ROW;
  }

  /** What time it is at the end. */
  get end(): number {
    return this.about?.now ?? 0;
  }

  time(row: number): number {
    return this.rows.at(row * ROW);
  }

  kind(row: number): number {
    return this.rows.at(row * ROW + 1);
  }

  lane(row: number): number | null {
    const lane = this.rows.at(row * ROW + 2);
    return lane === NONE ? null : lane;
  }

  cause(row: number): number | null {
    const cause = this.rows.at(row * ROW + 3);
    return cause === NONE ? null : cause;
  }

  flags(row: number): number {
    return this.rows.at(row * ROW + 4);
  }

  lag(row: number): number {
    return this.rows.at(row * ROW + 5);
  }

  /** How many rows have happened at a moment. */
  rowsAt(time: number): number {
    return upper(this.rows, ROW, 0, time);
  }

  /** The first mark, or arrow, that comes after a row. */
  markAfter(row: number): number {
    return row === 0 ? 0 : upper(this.marks, MARK, 0, row - 1);
  }

  span(at: number): Span {
    const n = this.spans;
    const maybe = (number: number) => (number === NONE ? null : number);
    const i = at * SPAN;
    return {
      lane: n.at(i),
      row: n.at(i + 1),
      from: n.at(i + 2),
      parked: maybe(n.at(i + 3)),
      deadline: n.at(i + 4),
      endRow: maybe(n.at(i + 5)),
      to: maybe(n.at(i + 6)),
      outcome: n.at(i + 7),
    };
  }

  get spanCount(): number {
    return this.spans.length / SPAN;
  }

  /** The next row with one of these flags, from `row` on in a direction; null if there is none. */
  withFlag(flags: number, row: number, step: 1 | -1): number | null {
    for (let at = row + step; at >= 0 && at < this.count; at += step) {
      if (this.flags(at) & flags) return at;
    }
    return null;
  }

  /** The next row of the same lane. */
  inLane(lane: number | null, row: number, step: 1 | -1): number | null {
    for (let at = row + step; at >= 0 && at < this.count; at += step) {
      if (this.lane(at) === lane) return at;
    }
    return null;
  }
}

/** How many entries stand before the first whose `field` is greater than `value`; entries are sorted by it. */
export function upper(list: Grow, stride: number, field: number, value: number): number {
  let [low, high] = [0, list.length / stride];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list.at(middle * stride + field) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Milliseconds as one reads them: 312 ms, 4.021 s, 2:05.000. */
export function clock(ms: number): string {
  if (ms < 60_000) return `${(ms / 1000).toFixed(3)} s`;
  const minutes = Math.floor(ms / 60_000);
  return `${minutes}:${((ms % 60_000) / 1000).toFixed(3).padStart(6, "0")}`;
}

/** A span of time, short: 312 ms, 4.0 s, 2 min. */
export function span(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.round(ms / 60_000)} min`;
}
