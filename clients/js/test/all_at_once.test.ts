/** Everything that can go wrong, at once: members come and go, work is slow, connections break, the server is killed. */

import { expect, test } from "vitest";

import { ApiError, type Consumer, ConsumerLostError, Takhin } from "../src/index.ts";
import { BreakingWay, Server } from "./server.ts";

const SEED = Number(process.env["TAKHIN_SEED"] ?? Date.now() % 1_000_000);
console.log(`TAKHIN_SEED=${SEED}`);

const RECORDS = 3_000;
const PARTITIONS = 6;
const WORKERS = 3;
const CRASHES = 4;
const SESSION_MS = 1_000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A draw from 0 to 1; the same ones for the same seed. */
function draws(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
    state = Math.imul(state ^ (state >>> 12), 0x297a2d39);
    state ^= state >>> 15;
    return (state >>> 0) / 2 ** 32;
  };
}

/** What was read, what was acknowledged to be committed, and what came again all the same. */
class Account {
  readonly got = new Map<string, string>();
  readonly again: string[] = [];
  readonly #committed = new Map<number, number>();

  get done(): boolean {
    return this.got.size === RECORDS;
  }

  async poll(consumer: Consumer, commits: boolean, workMs: number): Promise<void> {
    const messages = await consumer.poll({ timeoutMs: 100 });
    const ends = new Map<number, number>();
    for (const { partition, offset, value } of messages) {
      const place = `${partition}/${offset}`;
      if (offset < (this.#committed.get(partition) ?? 0)) this.again.push(place);
      expect(this.got.get(place) ?? value).toBe(value);
      this.got.set(place, value ?? "");
      ends.set(partition, offset + 1);
    }
    await pause(workMs);
    if (!commits) return;
    try {
      await consumer.commit(Array.from(ends, ([partition, offset]) => ({ topic: "t", partition, offset })));
    } catch (error) {
      // Somebody else has them by now.
      if (error instanceof ConsumerLostError || (error instanceof ApiError && error.code === "partition_not_assigned")) return;
      throw error;
    }
    for (const [partition, end] of ends) this.#committed.set(partition, Math.max(end, this.#committed.get(partition) ?? 0));
  }
}

async function work(takhin: Takhin, account: Account, draw: () => number): Promise<void> {
  while (!account.done) {
    const consumer = takhin.consumer({
      groupId: "g",
      topics: ["t"],
      autoOffsetReset: "earliest",
      autoCommit: false,
      maxPollRecords: 30,
      sessionTimeoutMs: SESSION_MS,
    });
    for (let left = 5 + Math.floor(draw() * 35); left > 0 && !account.done; left--) {
      // Now and then work takes longer than a session lasts without a sign of life.
      await account.poll(consumer, draw() < 0.7, draw() < 0.02 ? 1.5 * SESSION_MS : 0);
    }
    await consumer.close();
  }
}

async function write(takhin: Takhin): Promise<void> {
  const producer = takhin.producer({ lingerMs: 1, maxBatchRecords: 50 });
  const sent: Promise<unknown>[] = [];
  for (let number = 0; number < RECORDS; number++) {
    sent.push(producer.send({ topic: "t", partition: number % PARTITIONS, value: String(number) }));
    if (number % 10 === 9) await pause(10);
  }
  await Promise.all(sent);
  await producer.close();
}

test("nothing is lost, and nothing comes again that was committed", async () => {
  const server = await Server.start("--durability", "fsync");
  const way = await new BreakingWay(server.port, SEED).listen();
  way.withinBytes = 60_000;
  try {
    await new Takhin(server.url).admin.createTopic("t", { partitions: PARTITIONS });
    const takhin = new Takhin(way.url);
    const account = new Account();
    const workers = Array.from({ length: WORKERS }, (_, at) => work(takhin, account, draws(SEED * 31 + at)));
    const crashing = (async () => {
      for (let crash = 0; crash < CRASHES; crash++) {
        await pause(700);
        await server.stop("SIGKILL");
        await server.start();
      }
    })();
    await Promise.all([write(takhin), crashing, ...workers]);
    expect(account.again).toEqual([]);
    const wanted = Array.from({ length: RECORDS }, (_, number) => [`${number % PARTITIONS}/${Math.floor(number / PARTITIONS)}`, String(number)]);
    expect(Array.from(account.got).sort()).toEqual(wanted.sort());
    const { offsets } = await new Takhin(server.url).admin.topic("t");
    expect(offsets.map(({ end }) => end)).toEqual(Array(PARTITIONS).fill(RECORDS / PARTITIONS));
    expect(way.cuts).toBeGreaterThan(5);
  } finally {
    way.close();
    await server.remove();
  }
});
