import { describe, expect, test } from "vitest";
import { dump, fromBase64, matches, parseHeaders, preview, prettyJson } from "../../src/live/content";
import { Rebalances } from "../../src/live/rebalances";
import { direction, Trend } from "../../src/live/trend";
import { assignment, bytes, ranges, rebalanced, setting, span } from "../../src/live/words";

describe("what is in a record", () => {
  test("JSON is set out in lines, and every number and string stays as it was written", () => {
    const text = '{"id":12345678901234567891,"a":[1.50,{}],"s":"x, {\\"y\\": [z]}","e":[],"n":null}';
    const pretty = prettyJson(text);
    expect(pretty).toBe('{\n  "id": 12345678901234567891,\n  "a": [\n    1.50,\n    {}\n  ],\n  "s": "x, {\\"y\\": [z]}",\n  "e": [],\n  "n": null\n}');
    expect(JSON.parse(pretty ?? "")).toEqual(JSON.parse(text));
  });

  test("what is no JSON object or array stays as it is", () => {
    expect(["text", "12", '{"a":', "", '{"a":1} x'].map(prettyJson)).toEqual([null, null, null, null, null]);
  });

  test("bytes are shown as they are, sixteen to a line", () => {
    expect(dump(fromBase64("/wABSGVsbG8gd29ybGQhIQ=="))).toBe("0000  ff 00 01 48 65 6c 6c 6f 20 77 6f 72 6c 64 21 21  ...Hello world!!");
    expect(dump(new Uint8Array(17)).split("\n")[1]).toMatch(/^0010 {2}00 +\.$/);
    expect(dump(new Uint8Array(5000)).split("\n").at(-1)).toBe("… and 904 bytes more");
  });

  test("a preview is one line, and tells nothing from empty", () => {
    expect(preview(null, undefined)).toBe("null");
    expect(preview("", undefined)).toBe("");
    expect(preview("a\n  b", undefined)).toBe("a b");
    expect(preview("/wAB", "base64")).toBe("3 bytes: ff 00 01");
    expect(preview("/w==", "base64")).toBe("1 bytes: ff");
  });

  test("a text is found in key and value, in any case, and not in the letters of base64", () => {
    expect(matches({ key: "Order-1", value: null }, "order")).toBe(true);
    expect(matches({ key: null, value: '{"STATE":"paid"}' }, "state")).toBe(true);
    expect(matches({ key: null, value: "/wAB", value_encoding: "base64" }, "wab")).toBe(false);
    expect(matches({ key: null, value: null }, "")).toBe(true);
  });

  test("headers are a name and a value a line; a name may come twice", () => {
    expect(parseHeaders("trace: a:b\n\nx: 1\nx: 2")).toEqual([{ key: "trace", value: "a:b" }, { key: "x", value: "1" }, { key: "x", value: "2" }]);
    expect(() => parseHeaders("a: 1\nnonsense")).toThrow("Line 2");
  });
});

describe("words", () => {
  const name = (id: string) => (id === "1" ? "worker" : id);
  test("why a group was assigned anew", () => {
    const said = [null, "recovered", { joined: "1" }, { left: ["1", "session_timeout"] as [string, string] }, { left: ["1", "another"] as [string, string] }, { topics_changed: "orders" }, { resubscribed: "2" }, { unsubscribed: "2" }, { moved: "x" }];
    expect(said.map((why) => rebalanced(why, name))).toEqual([
      "not yet",
      "the server's start found the group between two decisions",
      "worker joined",
      "worker was not heard of for its session timeout",
      "worker left (another)",
      "the topic orders came, went or grew",
      "2 wants other topics",
      "2 took partitions by hand",
      "moved x",
    ]);
  });

  test("spans, sizes, settings and partitions", () => {
    expect([0, 999, 9999, 59_999, 60_000, 7_200_000, 604_800_000].map(span)).toEqual(["0 ms", "999 ms", "9.9 s", "59 s", "1 min", "2 h", "7 days"]);
    expect([0, 1023, 1024, 1536, 134_217_728].map(bytes)).toEqual(["0 bytes", "1,023 bytes", "1 KiB", "1.5 KiB", "128 MiB"]);
    expect([setting("retention_ms", -1), setting("retention_bytes", -1), setting("cleanup", "compact"), setting("segment_ms", 604_800_000)]).toEqual(["for ever", "without limit", "compact", "7 days"]);
    expect([ranges([]), ranges([5, 0, 1, 2, 10]), ranges([3])]).toEqual(["", "0–2, 5, 10", "3"]);
    expect([assignment({}), assignment({ orders: [0, 1], audit: [], mail: [4] })]).toEqual(["–", "orders 0–1 · mail 4"]);
  });
});

describe("a trend", () => {
  test("is drawn over the time that was seen, and breaks where the page did not look", () => {
    const trend = new Trend();
    for (const [at, value] of [[0, 0], [1000, 10], [11_000, 5], [12_000, 5]] as const) trend.add(at, value);
    expect(trend.path(12_000, 30, 10)).toBe("M18.0 10.0L19.0 0.0M29.0 5.0L30.0 5.0");
    expect([trend.latest, trend.greatest, trend.window(12_000)]).toEqual([5, 10, 30_000]);
  });

  test("keeps five minutes", () => {
    const trend = new Trend();
    for (let at = 0; at <= 400_000; at += 1000) trend.add(at, at === 50_000 ? 99 : 1);
    expect(trend.greatest).toBe(1);
    expect(trend.window(400_000)).toBe(299_000);
  });

  test("says where it goes", () => {
    const trend = new Trend();
    expect(direction(trend.perSecond())).toBe("");
    trend.add(0, 100);
    trend.add(10_000, 0);
    expect(direction(trend.perSecond())).toBe("falls by 10 a second");
    expect([direction(0.01), direction(2.34)]).toEqual(["steady", "grows by 2.3 a second"]);
  });
});

test("rebalances are told once each; those that went by unseen are counted", () => {
  const seen = new Rebalances();
  const at = (generation: number) => seen.look({ generation, last_rebalance: { joined: "1" }, last_rebalance_at: generation });
  expect([0, 1, 1, 2, 5, 1].map(at)).toEqual([false, true, false, true, true, true]);
  expect(seen.seen.map(({ generation, unseen }) => [generation, unseen])).toEqual([[1, 0], [5, 2], [2, 0], [1, 0]]);
});
