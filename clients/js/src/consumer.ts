/**
 * A consumer of a group: polls or loops, commits, seeks, pauses, and comes back by itself after a lost connection, a
 * restart of the server or a lost session.
 */

import { backoffMs, sleep } from "./backoff.ts";
import { ApiError, ClosedError, ConnectionError, ConsumerLostError, TakhinError } from "./errors.ts";
import { Holdings } from "./holdings.ts";
import type { Http } from "./http.ts";
import { type Described, Membership } from "./membership.ts";
import type { Message } from "./message.ts";
import { checked, type ConsumerOptions, type Subscription, subscriptionOf } from "./options.ts";
import { type ByPartition, byPartition, lists, type TopicPartition, type TopicPartitionOffset } from "./partitions.ts";
import { eventsOf, type StreamEvent } from "./stream.ts";

export interface PollOptions {
  /** How long to wait for a record; 30,000 ms. 0 asks once. */
  timeoutMs?: number;
  maxRecords?: number;
  signal?: AbortSignal;
}

/** An offset to commit, and what to remember with it. */
export interface CommitOffset extends TopicPartitionOffset {
  /** At most 4,096 bytes of UTF-8. */
  metadata?: string;
}

/** Where a seek goes. */
export type SeekTarget = "beginning" | "end" | "committed" | { timestampMs: number };

export class Consumer implements AsyncIterable<Message>, AsyncDisposable {
  readonly #http: Http;
  readonly #options: ConsumerOptions;
  readonly #holdings: Holdings;
  readonly #autoCommits: boolean;
  #subscription: Subscription | undefined;
  #member: Membership | undefined;
  #joining: Promise<Membership> | undefined;
  #lastCommitMs = Date.now();
  /** A poll or a loop is under way. */
  #busy = false;
  /** The last records went to a loop. */
  #looping = false;
  #closed = false;
  /** Opens when no seek is under way; a poll whose answer would tell of the time before a seek is given up. */
  #gate: Promise<void> = Promise.resolve();
  #inFlight: { stop: AbortController; ended: Promise<unknown> } | undefined;

  constructor(http: Http, options: ConsumerOptions) {
    this.#http = http;
    this.#options = checked(options);
    this.#holdings = new Holdings(options);
    this.#autoCommits = options.autoCommit ?? true;
    this.#subscription = subscriptionOf(options);
  }

  /** The id under which the server has it; undefined before it has joined. */
  get id(): string | undefined {
    return this.#member?.id;
  }

  /** Joins the group, which the first poll does otherwise. */
  async join(signal?: AbortSignal): Promise<void> {
    await this.#joined(signal);
  }

  /** Reads other topics from now on, or whatever matches a pattern. */
  subscribe(wish: readonly string[] | { topicPattern: string }): Promise<void> {
    return this.#want("topicPattern" in wish ? wish : { topics: wish });
  }

  /** Reads exactly these partitions, whatever others of the group have. */
  assign(partitions: readonly TopicPartition[]): Promise<void> {
    return this.#want({ assigned: partitions });
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
        const taken = this.#holdings.delivery.take(count);
        const leftMs = Math.max(0, end - Date.now());
        if (taken.length > 0 || (asked && leftMs === 0)) return taken;
        await this.#fetch(leftMs, count, options.signal);
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
        message = this.#holdings.delivery.takeOne();
        if (!message) await this.#fetch(waitMs, count, signal);
      } catch (error) {
        if (signal?.aborted) return;
        throw error;
      } finally {
        this.#busy = false;
      }
      if (message) yield message;
    }
    this.#holdings.delivery.finish();
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
          for await (const event of this.#listen(signal)) {
            failures = 0;
            await this.#hear(event);
            for (let message; (message = this.#holdings.delivery.takeOne()); ) yield message;
            await this.#autoCommit(signal);
          }
        } catch (error) {
          if (signal?.aborted) break;
          if (!this.#passes(error) || ++failures > 20) throw error;
          await sleep(backoffMs(failures, 0), signal);
        }
      }
      this.#holdings.delivery.finish();
    } finally {
      this.#inFlight?.stop.abort();
      this.#busy = false;
    }
  }

  /** Commits what was handed out so far, or these offsets (each the next one to read). Durable when it resolves. */
  async commit(offsets?: readonly CommitOffset[]): Promise<void> {
    this.#open();
    const what = offsets ?? this.#holdings.delivery.handed();
    if (what.length === 0) return;
    if (!this.#member) throw new TakhinError("nothing can be committed before the consumer has joined");
    await this.#commitAt(this.#member, what, {});
  }

  /** Moves one partition to an offset; or all, or those given, to a place. */
  async seek(to: TopicPartitionOffset | readonly TopicPartitionOffset[]): Promise<void>;
  async seek(to: SeekTarget, partitions?: readonly TopicPartition[]): Promise<void>;
  async seek(
    to: TopicPartitionOffset | readonly TopicPartitionOffset[] | SeekTarget,
    partitions?: readonly TopicPartition[],
  ): Promise<void> {
    const member = await this.#joined();
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
    await this.#alone(async () => {
      await member.ask("POST", "/seek", body);
      this.#holdings.delivery.move(moved);
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
    return this.#holdings.delivery.paused();
  }

  /** What is assigned, as far as this side has heard. */
  assignment(): TopicPartition[] {
    return [...this.#holdings.assigned];
  }

  /** The topics that are read. */
  async subscription(): Promise<string[]> {
    const member = await this.#joined();
    return (await member.ask<{ topics: string[] }>("GET", "/subscription")).topics;
  }

  /** The next offset of the partition that a poll or a loop will give; null where it is not known yet. */
  async position(of: TopicPartition): Promise<number | null> {
    const here = this.#holdings.delivery.position(of);
    if (here !== undefined) return here;
    const member = await this.#joined();
    const { offsets } = await member.ask<{ offsets: ByPartition<number | null> }>("GET", "/position");
    return offsets[of.topic]?.[of.partition] ?? null;
  }

  /** The group's committed offset of the partition; null where there is none. */
  async committed(of: TopicPartition): Promise<{ offset: number; metadata: string | undefined } | null> {
    const member = await this.#joined();
    type Committed = { offsets: ByPartition<number | null>; metadata?: ByPartition<string> };
    const { offsets, metadata } = await member.ask<Committed>("GET", "/committed");
    const offset = offsets[of.topic]?.[of.partition] ?? null;
    return offset === null ? null : { offset, metadata: metadata?.[of.topic]?.[of.partition] };
  }

  /** How many records each assigned partition had beyond the last batch when it was answered. */
  lag(): (TopicPartition & { lag: number | null })[] {
    return this.#holdings.lag();
  }

  /**
   * Commits what was worked on, with auto-commit, and leaves the group. What the last `poll` gave counts as worked on;
   * the record on which a loop was left does not. May be called again.
   */
  async close(options: { withinMs?: number } = {}): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#inFlight?.stop.abort();
    await this.#joining?.catch(() => {});
    const member = this.#member;
    if (!member || member.over) return;
    const withinMs = options.withinMs ?? 10_000;
    if (!this.#looping) this.#holdings.delivery.finish();
    try {
      if (this.#autoCommits) await this.#commitFinished({ retryForMs: withinMs });
    } finally {
      await member.leave(withinMs);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #open(): void {
    if (this.#closed) throw new ClosedError("this consumer is closed");
  }

  #begin(): void {
    this.#open();
    if (this.#busy) throw new TakhinError("this consumer is polled already: one poll or loop at a time");
    this.#busy = true;
  }

  async #want(subscription: Subscription): Promise<void> {
    this.#open();
    this.#subscription = subscription;
    const member = this.#member;
    if (member && !member.over) await this.#holdings.adopt(await member.subscribe(subscription));
  }

  async #joined(signal?: AbortSignal): Promise<Membership> {
    this.#open();
    const member = this.#member;
    if (member && !member.over) return member;
    if (member?.over) {
      if (!(member.over instanceof ConsumerLostError)) throw member.over;
      this.#member = undefined;
      await this.#holdings.lose();
      if (this.#options.rejoin === false) throw member.over;
    }
    this.#joining ??= this.#join(signal).finally(() => (this.#joining = undefined));
    return this.#joining;
  }

  async #join(signal?: AbortSignal): Promise<Membership> {
    const wish = this.#subscription;
    if (!wish) throw new TakhinError("nothing to read yet: give topics, or call subscribe or assign");
    const { member, described } = await Membership.join(this.#http, this.#options, wish, signal);
    this.#member = member;
    await this.#holdings.adopt(described);
    return member;
  }

  /** One poll of the server, and what it tells. */
  async #fetch(leftMs: number, count: number, signal: AbortSignal | undefined): Promise<void> {
    const member = await this.#joined(signal);
    await this.#autoCommit(signal);
    await this.#gate;
    this.#open();
    const waitMs = Math.round(Math.min(leftMs, this.#options.fetchMaxWaitMs ?? 30_000, 120_000));
    const stop = new AbortController();
    const poll = member.poll(this.#holdings.batch, waitMs, count, either(stop.signal, signal));
    this.#inFlight = { stop, ended: poll.catch(() => {}) };
    try {
      await this.#hear({ kind: "batch", batch: await poll });
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof ApiError && error.code === "batch_unknown") await this.#remind(member, signal);
      else if (error instanceof ConsumerLostError) await this.#joined(signal);
      else if (!stop.signal.aborted) throw error;
    }
  }

  /** The events of one connection. A seek ends them; what came before it is then not told. */
  async *#listen(signal: AbortSignal | undefined): AsyncGenerator<StreamEvent, void, void> {
    const member = await this.#joined(signal);
    await this.#gate;
    this.#open();
    const { maxPollRecords: max_records, maxPollBytes: max_bytes_total, fetchMinBytes: min_bytes } = this.#options;
    const stop = new AbortController();
    const at = this.#holdings.arrived().map(({ topic, partition, offset }) => `${topic}/${partition}:${offset}`);
    const headers: Record<string, string> = at.length > 0 ? { "last-event-id": at.join(",") } : {};
    this.#inFlight = { stop, ended: Promise.resolve() };
    try {
      const response = await member.open({ max_records, max_bytes_total, min_bytes }, headers, either(stop.signal, signal));
      for await (const event of eventsOf(response.body as ReadableStream<Uint8Array>)) {
        if (stop.signal.aborted) return;
        if (event.kind === "error") throw member.refused(event.error);
        yield event;
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    }
  }

  /** Whether a stream may go on after this, on a new connection. */
  #passes(error: unknown): boolean {
    if (error instanceof ConsumerLostError) return this.#options.rejoin !== false;
    return error instanceof ConnectionError || (error instanceof ApiError && error.retryable);
  }

  async #hear(event: StreamEvent): Promise<void> {
    const news = event.kind === "rebalance" ? event.news : event.kind === "batch" ? event.batch.rebalance : undefined;
    if (event.kind === "batch") this.#holdings.receive(event.batch);
    // What goes is still this consumer's until the next poll, so what was done of it is committed now.
    const whileHeld = async () => {
      if (this.#autoCommits) await this.#commitFinished();
    };
    if (news) await this.#holdings.rebalance(news, whileHeld);
  }

  /** Does what no answer to an earlier poll may overtake. */
  async #alone(work: () => Promise<void>): Promise<void> {
    const before = this.#gate;
    let open = () => {};
    this.#gate = new Promise((resolve) => (open = resolve));
    try {
      await before;
      this.#inFlight?.stop.abort();
      await this.#inFlight?.ended;
      await work();
    } finally {
      open();
    }
  }

  /** After a crash the server may not know the last batch; this side does, and says where each partition goes on. */
  async #remind(member: Membership, signal: AbortSignal | undefined): Promise<void> {
    await this.#holdings.adopt(await member.ask<Described>("GET", "", undefined, { signal }));
    const offsets = this.#holdings.arrived();
    if (offsets.length > 0) await member.ask("POST", "/seek", { offsets: offsetMap(offsets) }, { signal });
    this.#holdings.batch = undefined;
  }

  async #autoCommit(signal: AbortSignal | undefined): Promise<void> {
    if (!this.#autoCommits) return;
    if (Date.now() - this.#lastCommitMs >= (this.#options.autoCommitIntervalMs ?? 5_000)) await this.#commitFinished({ signal });
  }

  /** Commits what was worked on, of the partitions that are still this consumer's. */
  async #commitFinished(how: { signal?: AbortSignal | undefined; retryForMs?: number } = {}): Promise<void> {
    const member = this.#member;
    this.#lastCommitMs = Date.now();
    const { delivery } = this.#holdings;
    if (!member || member.over || delivery.finished().length === 0) return;
    try {
      await this.#commitAt(member, delivery.finished(), how);
    } catch (error) {
      // What was done of a partition that is another's now comes again there.
      if (error instanceof ConsumerLostError) return;
      if (!(error instanceof ApiError && error.code === "partition_not_assigned")) throw error;
      await this.#holdings.adopt(await member.ask<Described>("GET", "", undefined, how));
      if (delivery.finished().length > 0) await this.#commitAt(member, delivery.finished(), how);
    }
  }

  async #commitAt(
    member: Membership,
    offsets: readonly CommitOffset[],
    how: { signal?: AbortSignal | undefined; retryForMs?: number },
  ): Promise<void> {
    const noted = offsets.filter(({ metadata }) => metadata !== undefined);
    const metadata = noted.length > 0 ? byPartition(noted.map((one) => [one, one.metadata] as const)) : undefined;
    await member.ask("POST", "/commit", { offsets: offsetMap(offsets), metadata }, how);
    this.#holdings.delivery.committed(offsets);
  }

  async #setPaused(path: "/pause" | "/resume", partitions: readonly TopicPartition[] | undefined): Promise<void> {
    const member = await this.#joined();
    const { delivery } = this.#holdings;
    await member.ask("POST", path, partitions ? { partitions: lists(partitions) } : undefined);
    if (path === "/pause") delivery.pause(partitions ?? this.assignment());
    else delivery.resume(partitions ?? delivery.paused());
  }
}

function offsetMap(offsets: readonly TopicPartitionOffset[]): ByPartition<number> {
  return byPartition(offsets.map((one) => [one, one.offset] as const));
}

function either(one: AbortSignal, other: AbortSignal | undefined): AbortSignal {
  return other ? AbortSignal.any([one, other]) : one;
}
