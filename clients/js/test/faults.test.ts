/** Connections that break and servers that die: every record once, in order, and commits that hold. */

import { expect, test } from "vitest";

import { type Consumer, Takhin } from "../src/index.ts";
import { BreakingWay, Server } from "./server.ts";

const SEED = Number(process.env["TAKHIN_SEED"] ?? Date.now() % 1_000_000);
console.log(`TAKHIN_SEED=${SEED}`);

const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i));

async function produce(takhin: Takhin, topic: string, count: number, meanwhile = async (_: number) => {}): Promise<void> {
  const producer = takhin.producer({ lingerMs: 0, maxBatchRecords: 20 });
  for (let i = 0; i < count; i += 10) {
    const sent = numbers(10).map((_, at) => producer.send({ topic, value: String(i + at), partition: 0 }));
    await Promise.all([meanwhile(i), ...sent]);
  }
  await producer.close();
}

async function consume(consumer: Consumer, count: number, how: "messages" | "stream", meanwhile = async (_: number) => {}) {
  const seen: string[] = [];
  for await (const { value } of consumer[how]()) {
    seen.push(value ?? "");
    await meanwhile(seen.length);
    if (seen.length === count) break;
  }
  return seen;
}

test.each(["messages", "stream"] as const)("over connections that break at any byte, by %s", async (how) => {
  const server = await Server.start("--durability", "os");
  const way = await new BreakingWay(server.port, SEED).listen();
  try {
    await new Takhin(server.url).admin.createTopic("broken");
    const takhin = new Takhin(way.url);
    const producing = produce(takhin, "broken", 600);
    const consumer = takhin.consumer({ groupId: "g", topics: ["broken"], autoOffsetReset: "earliest", autoCommitIntervalMs: 20, maxPollRecords: 30 });
    expect(await consume(consumer, 600, how)).toEqual(numbers(600));
    await producing;
    await consumer.commit();
    await consumer.close();
    expect(way.cuts).toBeGreaterThan(10);
    const group = await new Takhin(server.url).admin.group("g");
    expect(group.partitions.map(({ committed, end }) => [committed, end])).toEqual([[600, 600]]);
  } finally {
    way.close();
    await server.remove();
  }
});

test.each(["messages", "stream"] as const)("over a server that is killed again and again, by %s", async (how) => {
  const server = await Server.start("--durability", "fsync");
  const takhin = new Takhin(server.url);
  try {
    await takhin.admin.createTopic("survives");
    const consumer = takhin.consumer({ groupId: "g", topics: ["survives"], autoOffsetReset: "earliest", autoCommitIntervalMs: 20 });
    const producing = produce(takhin, "survives", 400, async (sent) => {
      if (sent % 80 !== 40) return;
      await server.stop(sent % 160 === 40 ? "SIGKILL" : "SIGTERM");
      await server.start();
    });
    expect(await consume(consumer, 400, how)).toEqual(numbers(400));
    await producing;
    await consumer.commit();
    await consumer.close();
    const group = await takhin.admin.group("g");
    expect(group.partitions.map(({ committed, end }) => [committed, end])).toEqual([[400, 400]]);
  } finally {
    await server.remove();
  }
});

test("what was committed does not come again after the consumer died without a goodbye", async () => {
  const server = await Server.start("--durability", "fsync");
  const takhin = new Takhin(server.url);
  try {
    await takhin.admin.createTopic("handed-on");
    await produce(takhin, "handed-on", 100);
    const options = { groupId: "g", topics: ["handed-on"], autoOffsetReset: "earliest", autoCommit: false } as const;
    const dying = takhin.consumer({ ...options, instanceId: "one", maxPollRecords: 10 });
    await consume(dying, 35, "messages", async (seen) => {
      if (seen === 30) await dying.commit();
    });
    await server.stop("SIGKILL");
    await server.start();
    const next = takhin.consumer({ ...options, instanceId: "one" });
    expect(await consume(next, 70, "messages")).toEqual(numbers(100).slice(30));
    await next.close();
  } finally {
    await server.remove();
  }
});

test("an answer that is lost to a consumer that just reminded the server is given again", async () => {
  const server = await Server.start("--durability", "fsync");
  let armed = false;
  let lost = 0;
  const losing: typeof fetch = async (url, options) => {
    const response = await fetch(url, options);
    if (response.status === 409) armed = true;
    if (!response.ok || !armed || !String(url).endsWith("/consume")) return response;
    armed = false;
    lost++;
    await response.arrayBuffer();
    throw new TypeError("the answer is lost");
  };
  try {
    const direct = new Takhin(server.url);
    await direct.admin.createTopic("forgotten");
    await produce(direct, "forgotten", 50);
    const takhin = new Takhin({ url: server.url, fetch: losing });
    const consumer = takhin.consumer({ groupId: "g", topics: ["forgotten"], autoOffsetReset: "earliest", autoCommit: false, maxPollRecords: 5 });
    const seen: (string | null)[] = [];
    // Each poll is an exchange of its own, quicker than positions are written down.
    for (let polls = 0; polls < 5; polls++) seen.push(...(await consumer.poll({ maxRecords: 5 })).map(({ value }) => value));
    await server.stop("SIGKILL");
    await server.start();
    while (seen.at(-1) !== "49") seen.push(...(await consumer.poll({ maxRecords: 5 })).map(({ value }) => value));
    expect(seen).toEqual(numbers(50));
    expect(lost).toBe(1);
    await consumer.close();
  } finally {
    await server.remove();
  }
});

test("the first event of a stream may be lost", async () => {
  const server = await Server.start("--durability", "os");
  let lost = 0;
  const losing: typeof fetch = async (url, options) => {
    const response = await fetch(url, options);
    if (!String(url).includes("/stream") || lost > 0) return response;
    const reader = response.body!.getReader();
    for (let text = ""; !text.includes('"records":[{'); ) text += new TextDecoder().decode((await reader.read()).value);
    await reader.cancel();
    lost++;
    return new Response(new ReadableStream({ start: (stream) => stream.error(new TypeError("the connection broke")) }));
  };
  try {
    const direct = new Takhin(server.url);
    await direct.admin.createTopic("begun");
    await produce(direct, "begun", 50);
    const takhin = new Takhin({ url: server.url, fetch: losing });
    const consumer = takhin.consumer({ groupId: "g", topics: ["begun"], autoOffsetReset: "earliest", maxPollRecords: 10 });
    expect(await consume(consumer, 50, "stream")).toEqual(numbers(50));
    expect(lost).toBe(1);
    await consumer.close();
  } finally {
    await server.remove();
  }
});
