/**
 * A producer: takes records, sends them in batches, and tells each record's offset once it is durable. Every request is
 * numbered, so a repeated one doubles nothing.
 */

import { ApiError, BufferFullError, ClosedError } from "./errors.ts";
import type { Http } from "./http.ts";
import { encoded, keyBytes, type Outgoing, type OutgoingRecord, type Stored } from "./outgoing.ts";
import { refuseUnknown } from "./options.ts";
import { PartitionQueue, type QueueOptions } from "./partition_queue.ts";
import { partitionOf } from "./partitioner.ts";

export interface ProducerOptions {
  /** How long a record waits for others of its partition; 2 ms. */
  lingerMs?: number;
  /** How many bytes of JSON are a full batch; 1 MiB. */
  maxBatchBytes?: number;
  /** How many records are a full batch; 10,000. */
  maxBatchRecords?: number;
  /** For how long a batch is tried; 120,000 ms. */
  deliveryTimeoutMs?: number;
  /** How many bytes of JSON may wait to be sent; 64 MiB. */
  maxBufferedBytes?: number;
  /** How the server stores the records, instead of as the topic is set. */
  compression?: "none" | "gzip" | "snappy" | "lz4" | "zstd";
}

const KNOWN = new Set<string>([
  "lingerMs", "maxBatchBytes", "maxBatchRecords", "deliveryTimeoutMs", "maxBufferedBytes", "compression",
] satisfies (keyof ProducerOptions)[]);

/** How long the number of a topic's partitions is believed. */
const BELIEVED_MS = 60_000;

interface Topic {
  partitions: number;
  believedForMs: number;
  /** Whose turn it is among the partitions, for records without a key. */
  turn: number;
  turnEndsMs: number;
}

export class Producer implements AsyncDisposable {
  readonly #http: Http;
  readonly #options: QueueOptions & { maxBufferedBytes: number };
  readonly #topics = new Map<string, Promise<Topic>>();
  readonly #queues = new Map<string, PartitionQueue>();
  readonly #placing = new Set<Promise<void>>();
  #roomWaiters: (() => void)[] = [];
  #bufferedBytes = 0;
  #closed = false;

  constructor(http: Http, options: ProducerOptions = {}) {
    refuseUnknown(options, KNOWN, "a producer");
    this.#http = http;
    this.#options = {
      lingerMs: options.lingerMs ?? 2,
      maxBatchBytes: options.maxBatchBytes ?? 1 << 20,
      maxBatchRecords: options.maxBatchRecords ?? 10_000,
      deliveryTimeoutMs: options.deliveryTimeoutMs ?? 120_000,
      maxBufferedBytes: options.maxBufferedBytes ?? 64 << 20,
      compression: options.compression,
    };
  }

  /**
   * Takes a record; resolves with its place when it is durable. Records of one partition are stored in the order of
   * these calls. Rejects with an ApiError if the server refuses it, with an OutcomeUnknownError if it was given up
   * without an answer, and with a BufferFullError if too much is waiting.
   */
  send(record: OutgoingRecord): Promise<Stored> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new ClosedError("this producer is closed");
      const json = encoded(record);
      if (this.#bufferedBytes + json.length > this.#options.maxBufferedBytes && this.#bufferedBytes > 0) {
        throw new BufferFullError(`more than ${this.#options.maxBufferedBytes} bytes wait to be sent`);
      }
      this.#bufferedBytes += json.length;
      const outgoing = { json, keyBytes: keyBytes(record.key), partition: record.partition, resolve, reject };
      this.#place(record.topic, outgoing);
    });
  }

  /** Resolves once at most half of what may wait does. */
  async room(): Promise<void> {
    while (this.#bufferedBytes > this.#options.maxBufferedBytes / 2) {
      await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
    }
  }

  /** Sends all that was taken, and resolves when the fate of each record is known (by its own promise). */
  async flush(): Promise<void> {
    while (this.#bufferedBytes > 0) {
      await Promise.all(this.#placing);
      await Promise.all(Array.from(this.#queues.values(), (queue) => queue.flush()));
    }
  }

  /** Flushes, and takes no more. May be called again. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Puts the record where it belongs: at once if the topic is known, else as soon as it is, in the order of the calls. */
  #place(name: string, record: Outgoing): void {
    const placed = this.#topic(name)
      .then((topic) => this.#queue(name, this.#partition(topic, record)).add(record))
      .catch((error: unknown) => {
        this.#free(record.json.length);
        record.reject(error);
      });
    this.#placing.add(placed);
    void placed.finally(() => this.#placing.delete(placed));
  }

  #partition(topic: Topic, record: Outgoing): number {
    if (record.partition !== undefined) return record.partition;
    if (record.keyBytes) return partitionOf(record.keyBytes, topic.partitions);
    const now = Date.now();
    if (now >= topic.turnEndsMs) {
      topic.turn = (topic.turn + 1) % topic.partitions;
      topic.turnEndsMs = now + Math.max(1, this.#options.lingerMs);
    }
    return topic.turn;
  }

  #topic(name: string): Promise<Topic> {
    const known = this.#topics.get(name);
    if (known) return known;
    const asked = this.#describe(name);
    this.#topics.set(name, asked);
    const forget = () => this.#topics.get(name) === asked && this.#topics.delete(name);
    // A topic grows rarely, and may be made at any time.
    asked.then(({ believedForMs }) => later(forget, believedForMs), forget);
    return asked;
  }

  async #describe(name: string): Promise<Topic> {
    const path = `/api/topics/${encodeURIComponent(name)}`;
    const ask = { method: "GET", path, retryForMs: this.#options.deliveryTimeoutMs } as const;
    try {
      const { partitions } = (await this.#http.send<{ partitions: number }>(ask)).body;
      return { partitions, believedForMs: BELIEVED_MS, turn: Math.floor(Math.random() * partitions), turnEndsMs: 0 };
    } catch (error) {
      if (!(error instanceof ApiError && error.code === "topic_not_found")) throw error;
      // A server that makes topics as they are written to makes this one with the records; they go to its first
      // partition, and the next ones to where they belong.
      return { partitions: 1, believedForMs: 1_000, turn: 0, turnEndsMs: Infinity };
    }
  }

  #queue(topic: string, partition: number): PartitionQueue {
    const key = `${topic}/${partition}`;
    let queue = this.#queues.get(key);
    if (!queue) {
      queue = new PartitionQueue(this.#http, this.#options, topic, partition, (bytes) => this.#free(bytes));
      this.#queues.set(key, queue);
    }
    return queue;
  }

  #free(bytes: number): void {
    this.#bufferedBytes -= bytes;
    if (this.#bufferedBytes > this.#options.maxBufferedBytes / 2) return;
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const wake of waiters) wake();
  }
}

function later(work: () => void, ms: number): void {
  const timer = setTimeout(work, ms) as { unref?: () => void };
  timer.unref?.();
}
