/**
 * One consumer at the server, from subscribe to goodbye: its id, its session and the heartbeats that keep it, and the
 * requests that are made under its id. It repeats what may be repeated, and knows when it is over.
 */

import { ApiError, ConsumerLostError, FencedError } from "./errors.ts";
import type { Http } from "./http.ts";
import type { WireRecord } from "./message.ts";
import { type ConsumerOptions, subscribeBody, type Subscription, wanted } from "./options.ts";
import { type ByPartition, type PartitionLists, lists } from "./partitions.ts";

/** A consumer as the server describes it. */
export interface Described {
  consumer_id: string;
  topics: string[];
  assignment: PartitionLists;
  revoking?: PartitionLists;
  generation: number;
  positions: ByPartition<number | null>;
  lag: ByPartition<number | null>;
  session_timeout_ms: number;
}

/** An answer to a poll. */
export interface Batch {
  records: WireRecord[];
  batch_id: number;
  generation: number;
  positions: ByPartition<number | null>;
  lag: ByPartition<number | null>;
  rebalance?: { assigned: PartitionLists; revoked: PartitionLists };
}

/** The code of a consumer that is no more. */
const REMOVED = new Set(["consumer_expired", "consumer_not_found", "consumer_ended"]);

export class Membership {
  readonly #http: Http;
  readonly #options: ConsumerOptions;
  readonly #path: string;
  readonly id: string;
  #heartbeats: ReturnType<typeof setInterval> | undefined;
  #lastAskedMs = Date.now();
  #asking = 0;
  #over: Error | undefined;

  private constructor(http: Http, options: ConsumerOptions, id: string) {
    this.#http = http;
    this.#options = options;
    this.id = id;
    this.#path = `/api/consumers/${id}`;
  }

  /** The id is chosen here, so that a subscribe whose answer was lost is the same subscribe again. */
  static async join(http: Http, options: ConsumerOptions, wish: Subscription, signal?: AbortSignal) {
    const member = new Membership(http, options, crypto.randomUUID());
    const body = subscribeBody(options, wish, member.id);
    const subscribe = { method: "POST", path: "/api/consumers/subscribe", body, signal } as const;
    let described = (await http.send<Described>(subscribe)).body;
    member.#keepAlive(described.session_timeout_ms);
    if ("assigned" in wish) described = await member.subscribe(wish, signal);
    return { member, described };
  }

  /** Why it is over, if it is. */
  get over(): Error | undefined {
    return this.#over;
  }

  poll(after: number, waitMs: number, maxRecords: number, signal?: AbortSignal): Promise<Batch> {
    const { maxPollBytes, fetchMinBytes } = this.#options;
    const body = {
      after_batch: after,
      timeout_ms: waitMs,
      max_records: maxRecords,
      max_bytes_total: maxPollBytes,
      min_bytes: waitMs === 0 ? undefined : fetchMinBytes,
    };
    return this.ask<Batch>("POST", "/consume", body, { waitMs, signal });
  }

  subscribe(wish: Subscription, signal?: AbortSignal): Promise<Described> {
    if ("assigned" in wish) return this.ask("PUT", "/assignment", { topics: lists(wish.assigned) }, { signal });
    return this.ask("PUT", "/subscription", wanted(wish, this.#options.allowMissing), { signal });
  }

  /** A request for this consumer; `path` is what follows its id. */
  async ask<T>(
    method: "GET" | "POST" | "PUT" | "DELETE",
    path: string,
    body?: unknown,
    how: { waitMs?: number; signal?: AbortSignal | undefined; retryForMs?: number | undefined } = {},
  ): Promise<T> {
    if (this.#over) throw this.#over;
    this.#asking++;
    try {
      return (await this.#http.send<T>({ method, path: this.#path + path, body, ...how })).body;
    } catch (error) {
      throw this.#judged(error);
    } finally {
      this.#asking--;
      this.#lastAskedMs = Date.now();
    }
  }

  /** The response of a stream, whose body is still to come. */
  async open(query: Record<string, number | undefined>, headers: Record<string, string>, signal: AbortSignal) {
    if (this.#over) throw this.#over;
    try {
      return await this.#http.open({ method: "GET", path: `${this.#path}/stream`, query, headers, signal });
    } catch (error) {
      throw this.#judged(error);
    }
  }

  /** The server's word that this consumer is no more ends it. */
  #judged(error: unknown): unknown {
    if (!(error instanceof ApiError)) return error;
    if (error.code === "consumer_fenced") {
      this.#end(new FencedError("another consumer with this instanceId has taken over", { cause: error }));
    } else if (REMOVED.has(error.code)) {
      this.#end(new ConsumerLostError(`the server has removed this consumer: ${error.message}`, { cause: error }));
    }
    return this.#over ?? error;
  }

  refused(error: ApiError): Error {
    return this.#judged(error) as Error;
  }

  async leave(retryForMs: number): Promise<void> {
    this.#stop();
    if (this.#over) return;
    try {
      await this.ask("DELETE", "", undefined, { retryForMs });
    } catch (error) {
      // Gone is what was asked for.
      if (!(error instanceof ConsumerLostError)) throw error;
    }
  }

  #end(error: Error): void {
    this.#over ??= error;
    this.#stop();
  }

  #stop(): void {
    clearInterval(this.#heartbeats);
  }

  #keepAlive(sessionTimeoutMs: number): void {
    const everyMs = sessionTimeoutMs / 4;
    this.#heartbeats = setInterval(() => {
      if (this.#asking > 0 || Date.now() - this.#lastAskedMs < everyMs) return;
      // A heartbeat that fails tells nothing that the next poll won't tell; one that ends the consumer is remembered.
      this.ask("POST", "/heartbeat", undefined, { retryForMs: everyMs }).catch(() => {});
    }, everyMs);
    // A program that has nothing else to do may end.
    (this.#heartbeats as { unref?: () => void }).unref?.();
  }
}
