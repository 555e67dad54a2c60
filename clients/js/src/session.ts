/**
 * The life of a consumer at the server: it joins, and joins anew once it was removed; it polls or listens, commits what was
 * worked on, and reminds a server that has forgotten where it was.
 */

import { ApiError, ClosedError, ConnectionError, ConsumerLostError, TakhinError } from "./errors.ts";
import { Holdings } from "./holdings.ts";
import type { Http } from "./http.ts";
import { type Described, Membership } from "./membership.ts";
import { type ConsumerOptions, type Subscription, subscriptionOf } from "./options.ts";
import { type ByPartition, byPartition, lists, type TopicPartitionOffset } from "./partitions.ts";
import { eventsOf, type StreamEvent } from "./stream.ts";

/** An offset to commit, and what to remember with it. */
export interface CommitOffset extends TopicPartitionOffset {
  /** At most 4,096 bytes of UTF-8. */
  metadata?: string;
}

export class Session {
  readonly #http: Http;
  readonly #options: ConsumerOptions;
  readonly holdings: Holdings;
  readonly #autoCommits: boolean;
  #subscription: Subscription | undefined;
  #membership: Membership | undefined;
  #joining: Promise<Membership> | undefined;
  #lastCommitMs = Date.now();
  #closed = false;
  /** Opens when no seek is under way; a poll whose answer would tell of the time before a seek is given up. */
  #gate: Promise<void> = Promise.resolve();
  #inFlight: { stop: AbortController; ended: Promise<unknown> } | undefined;

  constructor(http: Http, options: ConsumerOptions) {
    this.#http = http;
    this.#options = options;
    this.holdings = new Holdings(options);
    this.#autoCommits = options.autoCommit ?? true;
    this.#subscription = subscriptionOf(options);
  }

  /** The consumer as the server has it; undefined before it has joined. */
  get membership(): Membership | undefined {
    return this.#membership;
  }

  /** Gives up the poll or the stream that is under way; nothing is lost by that. */
  interrupt(): void {
    this.#inFlight?.stop.abort();
  }

  /** Ends it: commits what was worked on, with auto-commit, and leaves. `finish` says what else was. */
  async close(withinMs: number, finish: () => void): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.interrupt();
    await this.#joining?.catch(() => {});
    const member = this.#membership;
    if (!member || member.over) return;
    finish();
    try {
      if (this.#autoCommits) await this.commitFinished({ retryForMs: withinMs });
    } finally {
      await member.leave(withinMs);
    }
  }

  /** Throws if it is closed. */
  open(): void {
    if (this.#closed) throw new ClosedError("this consumer is closed");
  }

  /** Reads something else from now on. */
  async want(subscription: Subscription): Promise<void> {
    this.open();
    this.#subscription = subscription;
    const member = this.#membership;
    if (member && !member.over) await this.holdings.adopt(await member.subscribe(subscription));
  }

  /** The consumer at the server, which joins if it has to. */
  async joined(signal?: AbortSignal): Promise<Membership> {
    this.open();
    const member = this.#membership;
    if (member && !member.over) return member;
    if (member?.over) {
      if (!(member.over instanceof ConsumerLostError)) throw member.over;
      this.#membership = undefined;
      await this.holdings.lose();
      if (this.#options.rejoin === false) throw member.over;
    }
    this.#joining ??= this.#join(signal).finally(() => (this.#joining = undefined));
    return this.#joining;
  }

  async #join(signal?: AbortSignal): Promise<Membership> {
    const wish = this.#subscription;
    if (!wish) throw new TakhinError("nothing to read yet: give topics, or call subscribe or assign");
    const { member, described } = await Membership.join(this.#http, this.#options, wish, signal);
    this.#membership = member;
    await this.holdings.adopt(described);
    return member;
  }

  /** One poll of the server, and what it tells. */
  async fetch(leftMs: number, count: number, signal: AbortSignal | undefined): Promise<void> {
    const member = await this.joined(signal);
    await this.autoCommit(signal);
    await this.#gate;
    this.open();
    const waitMs = Math.round(Math.min(leftMs, this.#options.fetchMaxWaitMs ?? 30_000, 120_000));
    const stop = new AbortController();
    const poll = member.poll(this.holdings.batch, waitMs, count, either(stop.signal, signal));
    this.#inFlight = { stop, ended: poll.catch(() => {}) };
    try {
      await this.hear({ kind: "batch", batch: await poll });
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof ApiError && error.code === "batch_unknown") await this.#remind(member, error, signal);
      else if (error instanceof ConsumerLostError) await this.joined(signal);
      else if (!stop.signal.aborted) throw error;
    }
  }

  /** The events of one connection. A seek ends them; what came before it is then not told. */
  async *listen(signal: AbortSignal | undefined): AsyncGenerator<StreamEvent, void, void> {
    const member = await this.joined(signal);
    await this.#gate;
    this.open();
    const { maxPollRecords: max_records, maxPollBytes: max_bytes_total, fetchMinBytes: min_bytes } = this.#options;
    const stop = new AbortController();
    // An event that was lost may have been the first of a partition: that begins again where the group does.
    await this.#putBack(member, signal, () => {
      const unheard = this.holdings.unheard();
      return unheard.length > 0 ? { to: "committed", partitions: lists(unheard) } : undefined;
    });
    const at = this.holdings.places().map(({ topic, partition, offset }) => `${topic}/${partition}:${offset}`);
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
  passes(error: unknown): boolean {
    if (error instanceof ConsumerLostError) return this.#options.rejoin !== false;
    return error instanceof ConnectionError || (error instanceof ApiError && error.retryable);
  }

  /** Takes in an event, and follows what it says of the assignment. */
  async hear(event: StreamEvent): Promise<void> {
    const news = event.kind === "rebalance" ? event.news : event.kind === "batch" ? event.batch.rebalance : undefined;
    if (event.kind === "batch") this.holdings.receive(event.batch);
    // What goes is still this consumer's until the next poll, so what was done of it is committed now.
    const whileHeld = async () => {
      if (this.#autoCommits) await this.commitFinished();
    };
    if (news) await this.holdings.rebalance(news, whileHeld);
  }

  /** Does what no answer to an earlier poll may overtake. */
  async alone(work: () => Promise<void>): Promise<void> {
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

  /**
   * After a crash the server may not know the last batch; this side does, and says where each partition goes on. What else
   * the server may have handed out since the batch that it knows is asked for by that, so that no lost answer loses it.
   */
  async #remind(member: Membership, unknown: ApiError, signal: AbortSignal | undefined): Promise<void> {
    await this.holdings.adopt(await member.ask<Described>("GET", "", undefined, { signal }));
    await this.#putBack(member, signal, () => {
      const offsets = this.holdings.arrived();
      return offsets.length > 0 ? { offsets: offsetMap(offsets) } : undefined;
    });
    this.holdings.batch = Number(unknown.details["previous"]);
  }

  /** Seeks, and asks anew what is still held if a partition has gone meanwhile. */
  async #putBack(member: Membership, signal: AbortSignal | undefined, where: () => object | undefined): Promise<void> {
    for (let attempts = 1; ; attempts++) {
      const body = where();
      if (!body) return;
      try {
        return await member.ask("POST", "/seek", body, { signal });
      } catch (error) {
        if (!(error instanceof ApiError && error.code === "partition_not_assigned") || attempts === 10) throw error;
        await this.holdings.adopt(await member.ask<Described>("GET", "", undefined, { signal }));
      }
    }
  }

  /** Commits what was worked on, if it is time. */
  async autoCommit(signal: AbortSignal | undefined): Promise<void> {
    if (!this.#autoCommits) return;
    if (Date.now() - this.#lastCommitMs >= (this.#options.autoCommitIntervalMs ?? 5_000)) await this.commitFinished({ signal });
  }

  /** Commits what was worked on, of the partitions that are still this consumer's. */
  async commitFinished(how: { signal?: AbortSignal | undefined; retryForMs?: number } = {}): Promise<void> {
    const member = this.#membership;
    this.#lastCommitMs = Date.now();
    const { delivery } = this.holdings;
    if (!member || member.over || delivery.finished().length === 0) return;
    try {
      await this.commitAt(member, delivery.finished(), how);
    } catch (error) {
      // What was done of a partition that is another's now comes again there.
      if (error instanceof ConsumerLostError) return;
      if (!(error instanceof ApiError && error.code === "partition_not_assigned")) throw error;
      await this.holdings.adopt(await member.ask<Described>("GET", "", undefined, how));
      if (delivery.finished().length > 0) await this.commitAt(member, delivery.finished(), how);
    }
  }

  /** Commits these offsets, all or none. */
  async commitAt(
    member: Membership,
    offsets: readonly CommitOffset[],
    how: { signal?: AbortSignal | undefined; retryForMs?: number },
  ): Promise<void> {
    const noted = offsets.filter(({ metadata }) => metadata !== undefined);
    const metadata = noted.length > 0 ? byPartition(noted.map((one) => [one, one.metadata] as const)) : undefined;
    await member.ask("POST", "/commit", { offsets: offsetMap(offsets), metadata }, how);
    this.holdings.delivery.committed(offsets);
  }
}

export function offsetMap(offsets: readonly TopicPartitionOffset[]): ByPartition<number> {
  return byPartition(offsets.map((one) => [one, one.offset] as const));
}

function either(one: AbortSignal, other: AbortSignal | undefined): AbortSignal {
  return other ? AbortSignal.any([one, other]) : one;
}
