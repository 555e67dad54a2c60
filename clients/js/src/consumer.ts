/**
 * A consumer of a group: polls or loops, commits, seeks, pauses, and comes back by itself after a lost connection, a
 * restart of the server or a lost session.
 */

import { backoffMs, sleep } from "./backoff.ts";
import { TakhinError } from "./errors.ts";
import type { Http } from "./http.ts";
import type { Message } from "./message.ts";
import { checked, type ConsumerOptions } from "./options.ts";
import { type ByPartition, lists, type TopicPartition, type TopicPartitionOffset } from "./partitions.ts";
import { type CommitOffset, offsetMap, Session } from "./session.ts";

export interface PollOptions {
  /** How long to wait for a record; 30,000 ms. 0 asks once. */
  timeoutMs?: number;
  maxRecords?: number;
  signal?: AbortSignal;
}

/** Where a seek goes. */
export type SeekTarget = "beginning" | "end" | "committed" | { timestampMs: number };

export class Consumer implements AsyncIterable<Message>, AsyncDisposable {
  readonly #options: ConsumerOptions;
  readonly #session: Session;
  /** A poll or a loop is under way. */
  #busy = false;
  /** The last records went to a loop. */
  #looping = false;

  constructor(http: Http, options: ConsumerOptions) {
    this.#options = checked(options);
    this.#session = new Session(http, this.#options);
  }

  /** The id under which the server has it; undefined before it has joined. */
  get id(): string | undefined {
    return this.#session.membership?.id;
  }

  /** Joins the group, which the first poll does otherwise. */
  async join(signal?: AbortSignal): Promise<void> {
    await this.#session.joined(signal);
  }

  /** Reads other topics from now on, or whatever matches a pattern. */
  subscribe(wish: readonly string[] | { topicPattern: string }): Promise<void> {
    return this.#session.want("topicPattern" in wish ? wish : { topics: wish });
  }

  /** Reads exactly these partitions, whatever others of the group have. */
  assign(partitions: readonly TopicPartition[]): Promise<void> {
    return this.#session.want({ assigned: partitions });
  }

  /**
   * Records, as soon as there are some; none if none came in time. What the poll before gave counts as worked on.
   * Rejects with the signal's reason if it is aborted; nothing is lost then.
   */
  async poll(options: PollOptions = {}): Promise<Message[]> {
    this.#begin();
    try {
      this.#looping = false;
      const count = options.maxRecords ?? this.#options.maxPollRecords ?? 500;
      const end = Date.now() + (options.timeoutMs ?? 30_000);
      for (let asked = false; ; asked = true) {
        const taken = this.#session.holdings.delivery.take(count);
        const leftMs = Math.max(0, end - Date.now());
        if (taken.length > 0 || (asked && leftMs === 0)) return taken;
        await this.#session.fetch(leftMs, count, options.signal);
      }
    } finally {
      this.#busy = false;
    }
  }

  /**
   * Every record from now on. A record counts as worked on when the loop asks for the next one: who leaves the loop
   * within its body, by `break` or by an error, gets that record again unless `commit()` was called.
   */
  [Symbol.asyncIterator](): AsyncGenerator<Message, void, void> {
    return this.messages();
  }

  /** The loop of the consumer itself, with a signal that ends it without an error. */
  async *messages(options: { signal?: AbortSignal } = {}): AsyncGenerator<Message, void, void> {
    const { signal } = options;
    const count = this.#options.maxPollRecords ?? 500;
    const waitMs = this.#options.fetchMaxWaitMs ?? 30_000;
    while (!signal?.aborted) {
      this.#begin();
      let message: Message | undefined;
      try {
        this.#looping = true;
        message = this.#session.holdings.delivery.takeOne();
        if (!message) await this.#session.fetch(waitMs, count, signal);
      } catch (error) {
        if (signal?.aborted) return;
        throw error;
      } finally {
        this.#busy = false;
      }
      if (message) yield message;
    }
    this.#session.holdings.delivery.finish();
  }

  /**
   * As [[messages]], over one long response (server-sent events) instead of a request for each batch. A partition that
   * goes elsewhere is given up at once, so what of it is not committed by then comes again to its next owner.
   */
  async *stream(options: { signal?: AbortSignal } = {}): AsyncGenerator<Message, void, void> {
    const { signal } = options;
    this.#begin();
    this.#looping = true;
    try {
      for (let failures = 0; !signal?.aborted; ) {
        try {
          for await (const event of this.#session.listen(signal)) {
            failures = 0;
            await this.#session.hear(event);
            for (let message; (message = this.#session.holdings.delivery.takeOne()); ) yield message;
            await this.#session.autoCommit(signal);
          }
        } catch (error) {
          if (signal?.aborted) break;
          if (!this.#session.passes(error) || ++failures > 20) throw error;
          await sleep(backoffMs(failures, 0), signal);
        }
      }
      this.#session.holdings.delivery.finish();
    } finally {
      this.#session.interrupt();
      this.#busy = false;
    }
  }

  /** Commits what was handed out so far, or these offsets (each the next one to read). Durable when it resolves. */
  async commit(offsets?: readonly CommitOffset[]): Promise<void> {
    this.#session.open();
    const what = offsets ?? this.#session.holdings.delivery.handed();
    if (what.length === 0) return;
    const member = this.#session.membership;
    if (!member) throw new TakhinError("nothing can be committed before the consumer has joined");
    await this.#session.commitAt(member, what, {});
  }

  /** Moves one partition to an offset; or all, or those given, to a place. */
  async seek(to: TopicPartitionOffset | readonly TopicPartitionOffset[]): Promise<void>;
  async seek(to: SeekTarget, partitions?: readonly TopicPartition[]): Promise<void>;
  async seek(
    to: TopicPartitionOffset | readonly TopicPartitionOffset[] | SeekTarget,
    partitions?: readonly TopicPartition[],
  ): Promise<void> {
    const member = await this.#session.joined();
    let moved: readonly TopicPartition[];
    let body: object;
    if (typeof to === "string" || "timestampMs" in to) {
      const where = typeof to === "string" ? { to } : { timestamp_ms: to.timestampMs };
      moved = partitions ?? this.assignment();
      body = partitions ? { ...where, partitions: lists(partitions) } : where;
    } else {
      const offsets = Array.isArray(to) ? (to as TopicPartitionOffset[]) : [to as TopicPartitionOffset];
      moved = offsets;
      body = { offsets: offsetMap(offsets) };
    }
    await this.#session.alone(async () => {
      const { positions } = await member.ask<{ positions: ByPartition<number | null> }>("POST", "/seek", body);
      this.#session.holdings.move(moved, positions);
    });
  }

  /** Stops delivery of the partitions, or of all; they stay assigned. */
  async pause(partitions?: readonly TopicPartition[]): Promise<void> {
    await this.#setPaused("/pause", partitions);
  }

  /** Goes on with the partitions, or with all. */
  async resume(partitions?: readonly TopicPartition[]): Promise<void> {
    await this.#setPaused("/resume", partitions);
  }

  paused(): TopicPartition[] {
    return this.#session.holdings.delivery.paused();
  }

  /** What is assigned, as far as this side has heard. */
  assignment(): TopicPartition[] {
    return [...this.#session.holdings.assigned];
  }

  /** The topics that are read. */
  async subscription(): Promise<string[]> {
    const member = await this.#session.joined();
    return (await member.ask<{ topics: string[] }>("GET", "/subscription")).topics;
  }

  /** The next offset of the partition that a poll or a loop will give; null where it is not known yet. */
  async position(of: TopicPartition): Promise<number | null> {
    const here = this.#session.holdings.delivery.position(of);
    if (here !== undefined) return here;
    const member = await this.#session.joined();
    const { offsets } = await member.ask<{ offsets: ByPartition<number | null> }>("GET", "/position");
    return offsets[of.topic]?.[of.partition] ?? null;
  }

  /** The group's committed offset of the partition; null where there is none. */
  async committed(of: TopicPartition): Promise<{ offset: number; metadata: string | undefined } | null> {
    const member = await this.#session.joined();
    type Committed = { offsets: ByPartition<number | null>; metadata?: ByPartition<string> };
    const { offsets, metadata } = await member.ask<Committed>("GET", "/committed");
    const offset = offsets[of.topic]?.[of.partition] ?? null;
    return offset === null ? null : { offset, metadata: metadata?.[of.topic]?.[of.partition] };
  }

  /** How many records each assigned partition had beyond the last batch when it was answered. */
  lag(): (TopicPartition & { lag: number | null })[] {
    return this.#session.holdings.lag();
  }

  /**
   * Commits what was worked on, with auto-commit, and leaves the group. What the last `poll` gave counts as worked on;
   * the record on which a loop was left does not. May be called again.
   */
  async close(options: { withinMs?: number } = {}): Promise<void> {
    await this.#session.close(options.withinMs ?? 10_000, () => {
      if (!this.#looping) this.#session.holdings.delivery.finish();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #begin(): void {
    this.#session.open();
    if (this.#busy) throw new TakhinError("this consumer is polled already: one poll or loop at a time");
    this.#busy = true;
  }

  async #setPaused(path: "/pause" | "/resume", partitions: readonly TopicPartition[] | undefined): Promise<void> {
    const member = await this.#session.joined();
    const { delivery } = this.#session.holdings;
    await member.ask("POST", path, partitions ? { partitions: lists(partitions) } : undefined);
    if (path === "/pause") delivery.pause(partitions ?? this.assignment());
    else delivery.resume(partitions ?? delivery.paused());
  }
}
