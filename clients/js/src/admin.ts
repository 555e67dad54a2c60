/** Topics, groups and single records, without being a consumer. */

import { ApiError } from "./errors.ts";
import type { Http } from "./http.ts";
import { Message, type WireRecord } from "./message.ts";
import { type ByPartition, byPartition, lists, type TopicPartition, type TopicPartitionOffset } from "./partitions.ts";

/** A topic's settings, as the server names them: -1 is without limit. */
export interface TopicSettings {
  retention_ms?: number;
  retention_bytes?: number;
  segment_bytes?: number;
  segment_ms?: number;
  max_message_bytes?: number;
  cleanup?: "delete" | "compact" | "both";
  min_compaction_lag_ms?: number;
  delete_retention_ms?: number;
  compression?: "none" | "gzip" | "snappy" | "lz4" | "zstd";
  /** When an append is answered; `server` is as the server is set. What holds is told, which may be `interval:MS` too, or nothing in a cluster. */
  durability?: "fsync" | "os" | "server" | `interval:${number}`;
}

export interface Topic extends Required<Omit<TopicSettings, "durability">>, Pick<TopicSettings, "durability"> {
  name: string;
  partitions: number;
  /** `leaderless`, only in a cluster: the partition has no leader now, and these bounds are what was heard last, or 0 and 0. */
  offsets: { partition: number; start: number; end: number; leaderless?: true }[];
}

export interface ReadOptions {
  /** May be left out where the topic has but one. */
  partition?: number;
  offset?: number;
  /** The first record that is not older. */
  timestampMs?: number;
  limit?: number;
  /** How long to wait at the log's end. */
  waitMs?: number;
  signal?: AbortSignal;
}

export interface GroupSummary {
  group_id: string;
  state: "empty" | "reconciling" | "stable";
  generation: number;
  members: number;
}

export interface GroupPartition extends TopicPartition {
  committed: number | null;
  metadata?: string;
  start: number;
  end: number;
  lag: number | null;
  lag_ms: number | null;
  owner: string | null;
}

export interface Group {
  group_id: string;
  state: GroupSummary["state"];
  generation: number;
  assignor: string;
  members: Record<string, unknown>[];
  partitions: GroupPartition[];
}

/** Where a group's offsets are set to. */
export type ResetTarget =
  | { to: "earliest" | "latest" }
  | { offset: number }
  | { by: number }
  | { timestampMs: number }
  | { offsets: readonly TopicPartitionOffset[] };

export interface ResetOptions {
  /** Which; else all that have a committed offset. */
  partitions?: readonly TopicPartition[];
  topics?: readonly string[];
  /** Only tell what it would be. */
  dryRun?: boolean;
}

export interface Reset extends TopicPartition {
  before: number | null;
  after: number | null;
}

export class Admin {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  async topics(): Promise<Topic[]> {
    return (await this.#ask<{ topics: Topic[] }>("GET", "/api/topics")).topics;
  }

  topic(name: string): Promise<Topic> {
    return this.#ask("GET", topicPath(name));
  }

  /** Makes a topic. An ApiError `topic_exists` if there is one, whatever its settings. */
  async createTopic(name: string, options: { partitions?: number } & TopicSettings = {}): Promise<Topic> {
    try {
      return await this.#ask("POST", "/api/topics", { name, ...options });
    } catch (error) {
      // Made by the attempt whose answer was lost.
      if (error instanceof ApiError && error.code === "topic_exists" && error.repeated) return this.topic(name);
      throw error;
    }
  }

  /** Changes the settings given; `partitions` may only grow. */
  alterTopic(name: string, options: { partitions?: number } & TopicSettings): Promise<Topic> {
    return this.#ask("PATCH", topicPath(name), options);
  }

  async deleteTopic(name: string): Promise<void> {
    await this.#delete(topicPath(name), "topic_not_found");
  }

  /** A partition's bounds. */
  offsets(of: TopicPartition): Promise<{ start: number; end: number }> {
    return this.#ask("GET", `${topicPath(of.topic)}/partitions/${of.partition}/offsets`);
  }

  /** The first record of the partition that is not older than the time; null if there is none. */
  async offsetAt(of: TopicPartition, timestampMs: number): Promise<number | null> {
    const path = `${topicPath(of.topic)}/partitions/${of.partition}/offsets`;
    return (await this.#ask<{ offset: number | null }>("GET", path, undefined, { timestamp_ms: timestampMs })).offset;
  }

  /** Reads a partition without a group, and tells where to go on. */
  async read(topic: string, options: ReadOptions = {}): Promise<{ messages: Message[]; nextOffset: number }> {
    const { partition, offset, timestampMs, limit, waitMs = 0, signal } = options;
    const query = { partition, offset, timestamp_ms: timestampMs, limit, wait_ms: waitMs };
    const call = { method: "GET", path: `${topicPath(topic)}/messages`, query, waitMs, signal } as const;
    const { body, headers } = await this.#http.send<WireRecord[]>(call);
    const messages = body.map((record) => new Message(record, topic));
    return { messages, nextOffset: Number(headers.get("x-next-offset")) };
  }

  async groups(): Promise<GroupSummary[]> {
    return (await this.#ask<{ groups: GroupSummary[] }>("GET", "/api/consumer-groups")).groups;
  }

  group(name: string): Promise<Group> {
    return this.#ask("GET", groupPath(name));
  }

  /** Sets the offsets of a group that nobody is in. */
  async resetOffsets(group: string, target: ResetTarget, options: ResetOptions = {}): Promise<Reset[]> {
    const body: Record<string, unknown> = { dry_run: options.dryRun ?? false };
    if ("timestampMs" in target) body["timestamp_ms"] = target.timestampMs;
    else if ("offsets" in target) body["offsets"] = offsetMap(target.offsets);
    else Object.assign(body, target);
    if (options.partitions) body["partitions"] = lists(options.partitions);
    if (options.topics) body["topics"] = options.topics;
    return (await this.#ask<{ offsets: Reset[] }>("PUT", `${groupPath(group)}/offsets`, body)).offsets;
  }

  async deleteGroup(name: string): Promise<void> {
    await this.#delete(groupPath(name), "group_not_found");
  }

  /** What the server says of itself. */
  health(): Promise<Record<string, unknown>> {
    return this.#ask("GET", "/api/health");
  }

  async #ask<T>(
    method: "GET" | "POST" | "PUT" | "PATCH",
    path: string,
    body?: unknown,
    query?: Record<string, number>,
  ): Promise<T> {
    return (await this.#http.send<T>({ method, path, body, query })).body;
  }

  /** Gone after an attempt whose answer was lost is gone as asked. */
  async #delete(path: string, gone: string): Promise<void> {
    try {
      await this.#http.send({ method: "DELETE", path });
    } catch (error) {
      if (!(error instanceof ApiError && error.code === gone && error.repeated)) throw error;
    }
  }
}

function topicPath(name: string): string {
  return `/api/topics/${encodeURIComponent(name)}`;
}

function groupPath(name: string): string {
  return `/api/consumer-groups/${encodeURIComponent(name)}`;
}

function offsetMap(offsets: readonly TopicPartitionOffset[]): ByPartition<number> {
  return byPartition(offsets.map((one) => [one, one.offset] as const));
}
