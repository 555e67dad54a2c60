import { expect, test } from "vitest";
import { decode, encode, LONGEST, type Shared } from "../../src/share/link";

const shared: Shared = {
  seed: "42",
  time: 4021,
  scenario: null,
  inputs: [{ t: 0, do: { topic: { name: "orders", partitions: 4 } } }, { t: 100, do: "fail_sync" }],
};

test("a run survives the way through a link", async () => {
  expect(await decode(await encode(shared))).toEqual(shared);
});

test("sixty operations fit a link", async () => {
  const inputs = Array.from({ length: 60 }, (_, at) => ({ t: at * 137, do: { produce: { producer: `p${at % 3}`, records: at % 7 } } }));
  expect((await encode({ ...shared, inputs })).length).toBeLessThan(LONGEST);
});

test.each([
  ["v1.not-deflated", "damaged"],
  ["v2.AAAA", "version 2"],
  ["something", "no link"],
  ["v1.", "damaged"],
])("%s is refused in words", async (hash, words) => {
  await expect(decode(hash)).rejects.toThrow(words);
});

test("a link that was cut off is refused", async () => {
  const hash = await encode(shared);
  for (const length of [hash.length - 1, hash.length - 8, hash.length >> 1]) await expect(decode(hash.slice(0, length))).rejects.toThrow();
});
