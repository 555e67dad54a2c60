/** What a consumer can be told, and how the server is told. */

import type { TopicPartition } from "./partitions.ts";

export interface ConsumerOptions {
  /** The group whose consumers share the partitions. */
  groupId: string;
  /** What to read; or say it later with `subscribe` or `assign`. */
  topics?: readonly string[];
  /** Instead of `topics`: a regular expression (the syntax of Rust's `regex`) that whole names have to match. */
  topicPattern?: string;
  /** Whether topics may be missing; they are assigned once they exist. */
  allowMissing?: boolean;
  /** Where to begin without a committed offset: `latest` (default), `earliest`, `none`, or `by_duration:PT1H`. */
  autoOffsetReset?: "earliest" | "latest" | "none" | `by_duration:${string}`;
  /** Whether to commit what has been worked on by itself; true. */
  autoCommit?: boolean;
  /** At most how often, in milliseconds; 5000. */
  autoCommitIntervalMs?: number;
  /** Silence after which the server takes the partitions away; 30,000 ms. Heartbeats are sent in the background. */
  sessionTimeoutMs?: number;
  /** How long the group waits for a next poll; 300,000 ms. */
  maxPollIntervalMs?: number;
  /** How long a partition that goes elsewhere may be held on to; 60,000 ms. */
  rebalanceTimeoutMs?: number;
  /** At most so many records a request; 500. */
  maxPollRecords?: number;
  /** At most so many bytes a request; 1 MiB. */
  maxPollBytes?: number;
  /** How many bytes are worth an answer before `fetchMaxWaitMs`; 1. */
  fetchMinBytes?: number;
  /** How long the server may hold a request while there is nothing; 30,000 ms. At most 120,000. */
  fetchMaxWaitMs?: number;
  /** Which of the group's workers this is. A restarted one takes its own partitions again, and nobody is rebalanced. */
  instanceId?: string;
  /** What this consumer is called where groups are looked at. */
  clientId?: string;
  assignor?: "uniform" | "range";
  /** Whether to join anew after the server removed this consumer; true. Else a poll then throws ConsumerLostError. */
  rejoin?: boolean;
  /** Told of partitions that came. */
  onAssigned?: (partitions: TopicPartition[]) => void | Promise<void>;
  /** Told of partitions that go, while offsets of theirs can still be committed. */
  onRevoked?: (partitions: TopicPartition[]) => void | Promise<void>;
  /** Told of partitions that are gone already: nothing can be committed for them. Without it, `onRevoked` is told. */
  onLost?: (partitions: TopicPartition[]) => void | Promise<void>;
}

const KNOWN = new Set<string>([
  "groupId", "topics", "topicPattern", "allowMissing", "autoOffsetReset", "autoCommit", "autoCommitIntervalMs",
  "sessionTimeoutMs", "maxPollIntervalMs", "rebalanceTimeoutMs", "maxPollRecords", "maxPollBytes", "fetchMinBytes",
  "fetchMaxWaitMs", "instanceId", "clientId", "assignor", "rejoin", "onAssigned", "onRevoked", "onLost",
] satisfies (keyof ConsumerOptions)[]);

/** A misspelt option would else silently be a default. */
export function refuseUnknown(options: object, known: ReadonlySet<string>, of: string): void {
  for (const name of Object.keys(options)) {
    if (!known.has(name)) throw new TypeError(`${of} has no option ${JSON.stringify(name)}`);
  }
}

export function checked(options: ConsumerOptions): ConsumerOptions {
  refuseUnknown(options, KNOWN, "a consumer");
  if (!options.groupId) throw new TypeError("groupId: a consumer needs a group");
  if (options.topics && options.topicPattern !== undefined) throw new TypeError("either topics or topicPattern");
  return options;
}

/** What the consumer wants to read. */
export type Subscription =
  | { topics: readonly string[] }
  | { topicPattern: string }
  | { assigned: readonly TopicPartition[] };

export function subscriptionOf(options: ConsumerOptions): Subscription | undefined {
  if (options.topics) return { topics: options.topics };
  return options.topicPattern === undefined ? undefined : { topicPattern: options.topicPattern };
}

/** The topics or the pattern, for the server. */
export function wanted(subscription: Subscription, allowMissing: boolean | undefined): Record<string, unknown> {
  const missing = allowMissing === undefined ? {} : { allow_missing: allowMissing };
  if ("topics" in subscription) return { topics: subscription.topics, ...missing };
  if ("topicPattern" in subscription) return { topic_pattern: subscription.topicPattern };
  return { topics: [...new Set(subscription.assigned.map(({ topic }) => topic))], ...missing };
}

/** The body of a subscribe request. The server never commits by itself: it can't know what has been worked on. */
export function subscribeBody(options: ConsumerOptions, subscription: Subscription, consumerId: string): object {
  return {
    group_id: options.groupId,
    consumer_id: consumerId,
    ...wanted(subscription, options.allowMissing),
    auto_offset_reset: options.autoOffsetReset,
    auto_commit: false,
    session_timeout_ms: options.sessionTimeoutMs,
    max_poll_interval_ms: options.maxPollIntervalMs,
    rebalance_timeout_ms: options.rebalanceTimeoutMs,
    instance_id: options.instanceId,
    client_id: options.clientId,
    assignor: options.assignor,
  };
}
