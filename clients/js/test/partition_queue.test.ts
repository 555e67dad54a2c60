import { expect, test } from "vitest";

import { ApiError, OutcomeUnknownError } from "../src/errors.ts";
import { Http } from "../src/http.ts";
import { PartitionQueue } from "../src/partition_queue.ts";

const options = {
  lingerMs: 0, maxBatchBytes: 1_000, maxBatchRecords: 1, deliveryTimeoutMs: 5_000, compression: undefined,
};

/** A queue before a server that answers as a test says, the bodies that it got, and a record's fate. */
function queue(answer: (body: Record<string, unknown>) => Response) {
  const bodies: Record<string, unknown>[] = [];
  const fetch = (_: unknown, init?: RequestInit) => {
    const body = JSON.parse(String(init?.body)) as Record<string, unknown>;
    bodies.push(body);
    try {
      return Promise.resolve(answer(body));
    } catch (error) {
      return Promise.reject(error as Error);
    }
  };
  const http = new Http({ url: "http://server", fetch: fetch as typeof globalThis.fetch });
  const records = new PartitionQueue(http, options, "orders", 0, () => {});
  const send = (value: string) =>
    new Promise((resolve, reject) => records.add({ json: JSON.stringify({ value }), keyBytes: undefined, partition: 0, resolve, reject }));
  return { bodies, send };
}

const stored = () => Response.json({ offsets: [{ partition: 0, offset: 7 }] });
const refused = (status: number, code: string, details: object, retryable: boolean) =>
  Response.json({ error: code, code, details, retryable }, { status });

/** A server that does not know producers. */
function withoutProducers(unnumbered: () => Response) {
  return queue((body) => ("producer_id" in body ? refused(501, "unsupported", { what: "producers" }, false) : unnumbered()));
}

test("a server that knows no producers gets records without numbers from then on", async () => {
  const { bodies, send } = withoutProducers(stored);
  expect(await send("a")).toMatchObject({ topic: "orders", partition: 0, offset: 7 });
  await send("b");
  expect(bodies.map((body) => "producer_id" in body)).toEqual([true, false, false]);
});

test("without numbers what may be stored is not sent again, and what is not is", async () => {
  const answers = [
    () => refused(503, "overloaded", {}, true),
    stored,
    () => refused(503, "storage_unavailable", { applied: "unknown" }, true),
    () => {
      throw new TypeError("the connection broke");
    },
  ];
  const { bodies, send } = withoutProducers(() => answers.shift()!());
  await send("a");
  await expect(send("b")).rejects.toBeInstanceOf(OutcomeUnknownError);
  await expect(send("c")).rejects.toBeInstanceOf(OutcomeUnknownError);
  const values = bodies.map(({ records }) => (records as { value: string }[])[0]!.value);
  expect(values).toEqual(["a", "a", "a", "b", "c"]);
});

test("what is refused for another reason is not sent without numbers", async () => {
  const { bodies, send } = queue(() => refused(404, "topic_not_found", {}, false));
  await expect(send("a")).rejects.toBeInstanceOf(ApiError);
  expect(bodies).toHaveLength(1);
});
