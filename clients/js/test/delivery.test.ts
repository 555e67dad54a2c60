import { expect, test } from "vitest";

import { Delivery } from "../src/delivery.ts";

const record = (partition: number, offset: number) => ({
  topic: "orders", partition, offset, timestamp: 0, key: null, value: "", headers: {},
});
const at = (partition: number, offset: number) => ({ topic: "orders", partition, offset });

function received(...records: [number, number][]): Delivery {
  const delivery = new Delivery();
  delivery.receive(records.map(([partition, offset]) => record(partition, offset)));
  return delivery;
}

test("a loop's record counts as worked on when the next one is asked for", () => {
  const delivery = received([0, 7], [0, 8]);
  expect(delivery.takeOne()?.offset).toBe(7);
  expect([delivery.handed(), delivery.finished()]).toEqual([[at(0, 8)], []]);
  expect(delivery.takeOne()?.offset).toBe(8);
  expect([delivery.handed(), delivery.finished()]).toEqual([[at(0, 9)], [at(0, 8)]]);
  expect(delivery.takeOne()).toBeUndefined();
  expect([delivery.handed(), delivery.finished()]).toEqual([[at(0, 9)], [at(0, 9)]]);
});

test("a poll gives no more than asked for and keeps the rest", () => {
  const delivery = received([0, 0], [1, 0], [0, 1]);
  expect(delivery.take(2).map(({ partition, offset }) => [partition, offset])).toEqual([[0, 0], [1, 0]]);
  expect([delivery.position(at(0, 0)), delivery.position(at(1, 0))]).toEqual([1, 1]);
  expect(delivery.take(2).map(({ offset }) => offset)).toEqual([1]);
  expect(delivery.finished()).toEqual([at(0, 1), at(1, 1)]);
});

test("what is committed is not committed again", () => {
  const delivery = received([0, 0]);
  delivery.take(1);
  delivery.committed([at(0, 1)]);
  expect([delivery.handed(), delivery.finished()]).toEqual([[], []]);
});

test("what waits of a paused partition stays until it is resumed", () => {
  const delivery = received([0, 0], [1, 0]);
  delivery.pause([at(0, 0)]);
  expect(delivery.take(9).map(({ partition }) => partition)).toEqual([1]);
  expect(delivery.takeOne()).toBeUndefined();
  delivery.resume([at(0, 0)]);
  expect(delivery.takeOne()?.partition).toBe(0);
});

test("a moved partition forgets what waits and what could be committed", () => {
  const delivery = received([0, 0], [0, 1], [1, 0]);
  delivery.takeOne();
  delivery.move([at(0, 0)]);
  delivery.finish();
  expect([delivery.handed(), delivery.finished(), delivery.position(at(0, 0))]).toEqual([[], [], undefined]);
  expect(delivery.take(9).map(({ partition }) => partition)).toEqual([1]);
});
