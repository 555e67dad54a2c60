import { afterAll, beforeAll, expect, test } from "vitest";

import {
  ApiError, BufferFullError, ClosedError, type Consumer, ConnectionError, FencedError, type Message, Takhin,
} from "../src/index.ts";
import { partitionOf } from "../src/partitioner.ts";
import { Server } from "./server.ts";

let server: Server;
let takhin: Takhin;
let topics = 0;

beforeAll(async () => {
  server = await Server.start("--durability", "os");
  takhin = new Takhin(server.url);
});
afterAll(() => server.remove());

async function topic(partitions = 1): Promise<string> {
  const name = `topic-${topics++}`;
  await takhin.admin.createTopic(name, { partitions });
  return name;
}

async function filled(records: number, partitions = 1): Promise<string> {
  const name = await topic(partitions);
  await using producer = takhin.producer();
  await Promise.all(Array.from({ length: records }, (_, i) => producer.send({ topic: name, value: `${i}`, partition: i % partitions })));
  return name;
}

function reader(name: string, groupId = `group-of-${name}`, more = {}): Consumer {
  return takhin.consumer({ groupId, topics: [name], autoOffsetReset: "earliest", ...more });
}

async function values(consumer: Consumer, count: number): Promise<string[]> {
  const out: string[] = [];
  for await (const message of consumer) {
    out.push(message.value ?? "");
    if (out.length === count) break;
  }
  return out;
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => String(from + i));

test("what is sent arrives as it was, whatever bytes it has", async () => {
  const name = await topic();
  const bytes = Uint8Array.from([0, 255, 128, 10]);
  await using producer = takhin.producer();
  const stored = await Promise.all([
    producer.send({ topic: name, key: "k", value: "text ✓", headers: { trace: "abc" }, timestamp: 1_700_000_000_000 }),
    producer.send({ topic: name, key: bytes, value: bytes, headers: [{ key: "a", value: "1" }, { key: "a", value: bytes }] }),
    producer.send({ topic: name, value: null }),
    producer.send({ topic: name, value: { amount: 9.5 } }),
    producer.send({ topic: name, value: "" }),
  ]);
  expect(stored.map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4]);

  await using consumer = reader(name);
  const [text, binary, tombstone, json, empty] = (await consumer.poll()) as [Message, Message, Message, Message, Message];
  expect([text.key, text.value, text.headers, text.timestamp]).toEqual(["k", "text ✓", { trace: "abc" }, 1_700_000_000_000]);
  expect([binary.keyBytes, binary.valueBytes]).toEqual([bytes, bytes]);
  expect(binary.headersList).toEqual([{ key: "a", value: new TextEncoder().encode("1") }, { key: "a", value: bytes }]);
  expect([tombstone.value, tombstone.valueBytes, tombstone.json(), tombstone.key]).toEqual([null, null, null, null]);
  expect(json.json()).toEqual({ amount: 9.5 });
  expect([empty.value, empty.valueBytes?.length]).toEqual(["", 0]);
});

test("keys lead where the server's own partitioner leads them", async () => {
  const name = await topic(7);
  const keys = ["", "a", "ab", "abc", "abcd", "order-1", "häß", "x".repeat(1_000)];
  const body = JSON.stringify({ records: keys.map((key) => ({ key, value: "" })) });
  const answer = await fetch(`${server.url}/api/topics/${name}/produce`, { method: "POST", body });
  const { offsets } = (await answer.json()) as { offsets: { partition: number }[] };
  const ours = keys.map((key) => partitionOf(new TextEncoder().encode(key), 7));
  expect(ours).toEqual(offsets.map(({ partition }) => partition));
});

test("a loop that is left without a commit gets its last record again, and one that commits does not", async () => {
  const name = await filled(10);
  const first = reader(name);
  expect(await values(first, 4)).toEqual(numbers(0, 4));
  await first.close();
  const second = reader(name);
  expect(await values(second, 2)).toEqual(numbers(3, 5));
  await second.commit();
  await second.close();
  await using third = reader(name);
  expect(await values(third, 5)).toEqual(numbers(5, 10));
});

test("a poll's records count as worked on with the next poll and with close", async () => {
  const name = await filled(10);
  const first = reader(name, "polls");
  expect((await first.poll({ maxRecords: 3 })).length).toBe(3);
  expect(await first.committed({ topic: name, partition: 0 })).toBeNull();
  await first.close();
  const second = reader(name, "polls", { autoCommit: false });
  expect((await second.poll({ maxRecords: 1 }))[0]?.offset).toBe(3);
  await second.close();
  await using third = reader(name, "polls");
  expect((await third.poll({ maxRecords: 1 }))[0]?.offset).toBe(3);
});

test("an empty poll waits no longer than asked, and an aborted one loses nothing", async () => {
  const name = await topic();
  await using consumer = reader(name);
  expect(await consumer.poll({ timeoutMs: 0 })).toEqual([]);
  expect(await consumer.poll({ timeoutMs: 30 })).toEqual([]);
  const stop = new AbortController();
  const waiting = consumer.poll({ signal: stop.signal });
  stop.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  await using producer = takhin.producer();
  await producer.send({ topic: name, value: "after" });
  expect((await consumer.poll()).map(({ value }) => value)).toEqual(["after"]);
});

test("seek, position, committed offsets with metadata, and lag", async () => {
  const name = await filled(10);
  const of = { topic: name, partition: 0 };
  await using consumer = reader(name, "seeks", { autoCommit: false });
  await consumer.join();
  expect(await consumer.position(of)).toBe(0);
  await consumer.seek({ ...of, offset: 6 });
  expect((await consumer.poll({ maxRecords: 2 })).map(({ offset }) => offset)).toEqual([6, 7]);
  expect([await consumer.position(of), consumer.lag()]).toEqual([8, [{ ...of, lag: 2 }]]);
  await consumer.commit([{ ...of, offset: 7, metadata: "checked" }]);
  expect(await consumer.committed(of)).toEqual({ offset: 7, metadata: "checked" });
  await consumer.seek("committed");
  expect((await consumer.poll({ maxRecords: 1 }))[0]?.offset).toBe(7);
  await consumer.seek("beginning", [of]);
  expect((await consumer.poll({ maxRecords: 1 }))[0]?.offset).toBe(0);
  await consumer.seek("end");
  expect(await consumer.poll({ timeoutMs: 0 })).toEqual([]);
  await consumer.seek({ timestampMs: 0 });
  expect(await values(consumer, 3)).toEqual(numbers(0, 3));
  await consumer.seek([{ ...of, offset: 9 }]);
  expect(await values(consumer, 1)).toEqual(["9"]);
  await expect(consumer.seek({ ...of, offset: 99 })).rejects.toMatchObject({ code: "offset_out_of_range", status: 422 });
});

test("a seek while a poll is parked is what that poll answers to", async () => {
  const name = await filled(3);
  await using consumer = reader(name);
  expect((await consumer.poll()).length).toBe(3);
  const parked = consumer.poll();
  await new Promise((resolve) => setTimeout(resolve, 50));
  await consumer.seek({ topic: name, partition: 0, offset: 1 });
  expect((await parked).map(({ offset }) => offset)).toEqual([1, 2]);
});

test("a paused partition brings nothing until it is resumed", async () => {
  const name = await filled(4, 2);
  const paused = { topic: name, partition: 0 };
  await using consumer = reader(name);
  await consumer.join();
  await consumer.pause([paused]);
  expect(consumer.paused()).toEqual([paused]);
  expect((await consumer.poll()).map(({ partition }) => partition)).toEqual([1, 1]);
  expect(await consumer.poll({ timeoutMs: 0 })).toEqual([]);
  await consumer.resume();
  expect((await consumer.poll()).map(({ partition }) => partition)).toEqual([0, 0]);
});

test("members share the partitions, are told of it, and together get each record", async () => {
  const name = await topic(4);
  const told: string[] = [];
  const seen: string[] = [];
  const member = (who: string) =>
    reader(name, "shared", {
      onAssigned: (partitions: unknown[]) => void told.push(`${who} +${partitions.length}`),
      onRevoked: (partitions: unknown[]) => void told.push(`${who} -${partitions.length}`),
    });
  const [a, b] = [member("a"), member("b")];
  const stop = new AbortController();
  const run = async (consumer: Consumer) => {
    for await (const { value } of consumer.messages({ signal: stop.signal })) seen.push(value ?? "");
  };
  await a.join();
  const running = [run(a), run(b)];
  while (a.assignment().length !== 2 || b.assignment().length !== 2) await new Promise((resolve) => setTimeout(resolve, 10));
  await using producer = takhin.producer();
  const sent = numbers(0, 400);
  await Promise.all(sent.map((value) => producer.send({ topic: name, key: value, value })));
  while (seen.length < sent.length) await new Promise((resolve) => setTimeout(resolve, 10));
  stop.abort();
  await Promise.all(running);
  await a.close();
  await b.close();
  expect(told[0]).toBe("a +4");
  expect(told).toEqual(expect.arrayContaining(["a -2", "b +2"]));
  expect([...seen].sort()).toEqual([...sent].sort());
});

test("a subscription by pattern, another one, and partitions by hand", async () => {
  const [one, two] = [await filled(1), await filled(2, 2)];
  await using consumer = takhin.consumer({ groupId: "wishes", topicPattern: one, autoOffsetReset: "earliest" });
  expect((await consumer.poll()).map(({ topic }) => topic)).toEqual([one]);
  await consumer.subscribe([two]);
  expect(await consumer.subscription()).toEqual([two]);
  expect(consumer.assignment()).toHaveLength(2);
  await consumer.assign([{ topic: two, partition: 1 }]);
  await consumer.seek("beginning");
  expect((await consumer.poll()).map(({ partition }) => partition)).toEqual([1]);
});

test("a consumer whose session ended joins anew and goes on from the committed offset", async () => {
  const name = await filled(4);
  const lost: number[] = [];
  await using consumer = reader(name, "lost", { onLost: (partitions: unknown[]) => void lost.push(partitions.length) });
  expect((await consumer.poll({ maxRecords: 2 })).length).toBe(2);
  await consumer.commit();
  const former = consumer.id;
  await fetch(`${server.url}/api/consumers/${former}`, { method: "DELETE" });
  expect((await consumer.poll()).map(({ offset }) => offset)).toEqual([2, 3]);
  expect(lost).toEqual([1]);
  expect(consumer.id).not.toBe(former);
});

test("heartbeats keep a session whose records take longer than it", async () => {
  const name = await filled(2);
  await using consumer = reader(name, "slow", { sessionTimeoutMs: 1_000 });
  await consumer.poll({ maxRecords: 1 });
  const id = consumer.id;
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  expect((await consumer.poll()).map(({ offset }) => offset)).toEqual([1]);
  expect(consumer.id).toBe(id);
});

test("a static member that is replaced is told so", async () => {
  const name = await filled(1);
  const first = reader(name, "static", { instanceId: "worker-1" });
  await first.poll();
  await using second = reader(name, "static", { instanceId: "worker-1" });
  await second.join();
  await expect(first.poll()).rejects.toThrow(FencedError);
  await first.close();
});

test("over server-sent events", async () => {
  const name = await filled(100, 3);
  await using consumer = reader(name, "streamed", { maxPollRecords: 10 });
  const seen: string[] = [];
  for await (const { value } of consumer.stream()) {
    seen.push(value ?? "");
    if (seen.length === 100) break;
  }
  expect([...seen].sort()).toEqual(numbers(0, 100).sort());
  await consumer.commit();
});

test("the wrong record of a batch is refused, and the others are stored", async () => {
  const name = await topic();
  await using producer = takhin.producer({ lingerMs: 20 });
  const sent = [{ value: "a" }, { value: "b", timestamp: -1 }, { value: "c" }].map((record) => producer.send({ topic: name, ...record }));
  await expect(sent[1]).rejects.toMatchObject({ details: { field: "records[1].timestamp" } });
  expect([(await sent[0])?.offset, (await sent[2])?.offset]).toEqual([0, 1]);
});

test("what is wrong is said clearly", async () => {
  const name = await topic();
  await expect(takhin.producer().send({ topic: "nowhere", value: "" })).rejects.toMatchObject({ code: "topic_not_found", retryable: false });
  await expect(takhin.admin.createTopic(name)).rejects.toThrow(ApiError);
  expect(() => takhin.consumer({ groupId: "g", topic: "x" } as never)).toThrow('a consumer has no option "topic"');
  expect(() => takhin.producer({ linger: 5 } as never)).toThrow('a producer has no option "linger"');
  await expect(takhin.consumer({ groupId: "g" }).poll()).rejects.toThrow("nothing to read yet");
  const closed = reader(name);
  await closed.close();
  await closed.close();
  await expect(closed.poll()).rejects.toThrow(ClosedError);
  const busy = reader(name);
  const parked = busy.poll();
  await expect(busy.poll()).rejects.toThrow("one poll or loop at a time");
  const refused = expect(parked).rejects.toThrow(ClosedError);
  await busy.close();
  await refused;
  const nobody = new Takhin({ url: "http://127.0.0.1:9", retryForMs: 0 });
  await expect(nobody.admin.topics()).rejects.toThrow(ConnectionError);
});

test("a producer takes no more than it may hold", async () => {
  const name = await topic();
  const producer = takhin.producer({ maxBufferedBytes: 1_000, lingerMs: 1_000 });
  const first = producer.send({ topic: name, value: "x".repeat(900) });
  await expect(producer.send({ topic: name, value: "x".repeat(900) })).rejects.toThrow(BufferFullError);
  const room = producer.room();
  await producer.flush();
  await room;
  expect((await first).offset).toBe(0);
  await producer.close();
  await expect(producer.send({ topic: name, value: "" })).rejects.toThrow(ClosedError);
});

test("topics and groups can be looked at and changed", async () => {
  const name = await filled(6, 2);
  const { admin } = takhin;
  const consumer = reader(name, "looked-at");
  await consumer.poll();
  await consumer.commit();
  await consumer.close();
  expect((await admin.alterTopic(name, { partitions: 3, retention_ms: 60_000 })).retention_ms).toBe(60_000);
  expect((await admin.topics()).some((one) => one.name === name && one.partitions === 3)).toBe(true);
  expect(await admin.offsets({ topic: name, partition: 0 })).toMatchObject({ start: 0, end: 3 });
  expect(await admin.offsetAt({ topic: name, partition: 0 }, 0)).toBe(0);
  const { messages, nextOffset } = await admin.read(name, { partition: 1, offset: 1, limit: 1 });
  expect([messages.map(({ value }) => value), nextOffset]).toEqual([["3"], 2]);
  expect((await admin.groups()).find(({ group_id }) => group_id === "looked-at")?.state).toBe("empty");
  const planned = await admin.resetOffsets("looked-at", { to: "earliest" }, { topics: [name], dryRun: true });
  expect(planned.map(({ before, after }) => [before, after])).toContainEqual([3, 0]);
  await admin.resetOffsets("looked-at", { offsets: [{ topic: name, partition: 0, offset: 1 }] });
  const group = await admin.group("looked-at");
  expect(group.partitions.find(({ partition }) => partition === 0)?.committed).toBe(1);
  await admin.deleteGroup("looked-at");
  await admin.deleteTopic(name);
  await expect(admin.topic(name)).rejects.toMatchObject({ code: "topic_not_found" });
});
