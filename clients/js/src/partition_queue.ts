/**
 * The records of one partition, in order, one request at a time, each request numbered: the server knows a repeated one
 * and gives it the offsets that it had, so a retry never doubles, loses or swaps records.
 *
 * A server whose records are in Kafka does not know producers, and refuses numbers. Then nothing is numbered, and what may
 * have been stored is not sent again: its outcome is unknown.
 */

import { ApiError, ConnectionError, OutcomeUnknownError } from "./errors.ts";
import type { Http } from "./http.ts";
import type { Outgoing } from "./outgoing.ts";

export interface QueueOptions {
  lingerMs: number;
  maxBatchBytes: number;
  maxBatchRecords: number;
  deliveryTimeoutMs: number;
  compression: string | undefined;
}

interface Produced {
  offsets: { partition: number; offset: number; timestamp?: number }[];
}

export class PartitionQueue {
  readonly #http: Http;
  readonly #options: QueueOptions;
  readonly #topic: string;
  readonly #partition: number;
  readonly #freed: (bytes: number) => void;
  #waiting: Outgoing[] = [];
  #waitingBytes = 0;
  /** Whether the server knows producers, as far as it has not said otherwise. */
  #isNumbered = true;
  #producerId = drawId();
  #sequence = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending: Promise<void> | undefined;

  constructor(http: Http, options: QueueOptions, topic: string, partition: number, freed: (bytes: number) => void) {
    this.#http = http;
    this.#options = options;
    this.#topic = topic;
    this.#partition = partition;
    this.#freed = freed;
  }

  add(record: Outgoing): void {
    this.#waiting.push(record);
    this.#waitingBytes += record.json.length;
    const full = this.#waitingBytes >= this.#options.maxBatchBytes || this.#waiting.length >= this.#options.maxBatchRecords;
    if (this.#sending) return;
    if (full || this.#options.lingerMs === 0) this.#go();
    else this.#timer ??= setTimeout(() => this.#go(), this.#options.lingerMs);
  }

  /** Sends what waits without lingering; resolves when the fate of all of it is known. */
  async flush(): Promise<void> {
    if (this.#waiting.length > 0) this.#go();
    while (this.#sending) await this.#sending;
  }

  #go(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending ??= this.#sendAll();
  }

  async #sendAll(): Promise<void> {
    // Records that came while a request was under way have lingered enough.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#next();
      await this.#send(batch);
      this.#freed(batch.reduce((sum, { json }) => sum + json.length, 0));
    }
    // In the same breath as the look at what waits, or a record that comes in between would stay.
    this.#sending = undefined;
  }

  #next(): Outgoing[] {
    let bytes = 0;
    let count = 0;
    for (const { json } of this.#waiting) {
      bytes += json.length;
      if (count > 0 && (bytes > this.#options.maxBatchBytes || count >= this.#options.maxBatchRecords)) break;
      count++;
    }
    const batch = this.#waiting.splice(0, count);
    this.#waitingBytes -= batch.reduce((sum, { json }) => sum + json.length, 0);
    return batch;
  }

  /** Sends the batch until its fate is known, without the records that the server finds wrong. Never rejects. */
  async #send(batch: Outgoing[]): Promise<void> {
    const end = Date.now() + this.#options.deliveryTimeoutMs;
    while (batch.length > 0) {
      try {
        await this.#attempt(batch, Math.max(0, end - Date.now()));
        return;
      } catch (error) {
        batch = this.#after(error, batch);
      }
    }
  }

  /** What is left to be sent after an error; the rest has been told. */
  #after(error: unknown, batch: Outgoing[]): Outgoing[] {
    if (error instanceof ApiError) {
      const wrong = /^records\[(\d+)\]/.exec(String(error.details["field"] ?? ""));
      const at = wrong ? Number(wrong[1]) : -1;
      if (at >= 0 && at < batch.length) {
        batch[at]!.reject(error);
        return batch.filter((_, index) => index !== at);
      }
      if (error.code === "unsupported" && this.#isNumbered && !error.repeated) {
        this.#isNumbered = false;
        return batch;
      }
      if (error.code === "sequence_gap" && this.#sequence > 0 && !error.repeated) {
        // The server has forgotten this producer, and what it did know came before this batch's first attempt.
        this.#renew();
        return batch;
      }
    }
    const unknown = error instanceof ApiError
      ? error.repeated || error.details["applied"] === "unknown"
      : error instanceof ConnectionError;
    const told = unknown ? new OutcomeUnknownError("the records may or may not be in the log", { cause: error }) : error;
    for (const record of batch) record.reject(told);
    // Whatever comes of them later must not be taken for the next batch.
    if (unknown) this.#renew();
    return [];
  }

  async #attempt(batch: readonly Outgoing[], retryForMs: number): Promise<void> {
    const { compression } = this.#options;
    const once = !this.#isNumbered;
    const numbers = once ? "" : `"producer_id":${this.#producerId},"epoch":0,"sequence":${this.#sequence},`;
    const stored = compression === undefined ? "" : `"compression":${JSON.stringify(compression)},`;
    const records = batch.map(({ json }) => `{"partition":${this.#partition},${json.slice(1)}`);
    const path = `/api/topics/${encodeURIComponent(this.#topic)}/produce`;
    const body = `{${numbers}${stored}"records":[${records.join(",")}]}`;
    const answer = await this.#http.send<Produced>({ method: "POST", path, body, retryForMs, once });
    this.#sequence += batch.length;
    answer.body.offsets.forEach(({ partition, offset, timestamp }, at) => {
      batch[at]?.resolve({ topic: this.#topic, partition, offset, timestamp });
    });
  }

  #renew(): void {
    this.#producerId = drawId();
    this.#sequence = 0;
  }
}

/** A producer's id: 53 random bits. */
function drawId(): number {
  const words = crypto.getRandomValues(new Uint32Array(2));
  return (words[0]! & 0x1fffff) * 0x1_0000_0000 + words[1]!;
}
