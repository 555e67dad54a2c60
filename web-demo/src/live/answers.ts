/** The shapes of the server's answers, as far as the console reads them. The reference is docs/http-api.md. */

/** Partitions by topic, as in `{"orders": [0, 1]}`. */
export type ByTopic = Record<string, number[]>;
/** A figure of each partition, as in `{"orders": {"0": 5}}`. */
export type FigureByTopic = Record<string, Record<string, number | null>>;

export interface Health {
  status: string;
  storage: string;
  audit?: string;
  draining: boolean;
  topics: number;
  consumers: number;
  parked_polls: number;
}

export interface PartitionOffsets {
  partition: number;
  start: number;
  end: number;
}

/** A topic; what else it has are its settings. */
export interface Topic {
  name: string;
  partitions: number;
  offsets: PartitionOffsets[];
  [setting: string]: unknown;
}

export interface Message {
  topic: string;
  partition: number;
  offset: number;
  timestamp: number;
  key: string | null;
  value: string | null;
  key_encoding?: string;
  value_encoding?: string;
  headers: Record<string, string>;
  headers_list?: { key: string; value: string; encoding?: string }[];
}

export interface GroupSummary {
  group_id: string;
  state: string;
  generation: number;
  members: number;
}

export interface Member {
  consumer_id: string;
  client_id?: string;
  instance_id?: string;
  topics: string[];
  topic_pattern?: string;
  assignment: ByTopic;
  revoking?: ByTopic;
  paused?: ByTopic;
  away?: boolean;
  positions: FigureByTopic;
  lag: FigureByTopic;
  session_timeout_ms: number;
  max_poll_interval_ms: number;
  auto_commit: boolean;
  auto_commit_interval_ms: number;
}

export type LastRebalance = string | { [kind: string]: string | [string, string] };

export interface GroupPartition {
  topic: string;
  partition: number;
  committed: number | null;
  metadata?: string;
  start: number;
  end: number;
  lag: number | null;
  lag_ms: number | null;
  owner: string | null;
}

export interface Group extends GroupSummaryParts {
  members: Member[];
  manual?: Member[];
  partitions: GroupPartition[];
}

interface GroupSummaryParts {
  group_id: string;
  state: string;
  generation: number;
  assignor: string | null;
  last_rebalance: LastRebalance | null;
  last_rebalance_at: number | null;
  empty_since?: number;
  expires_at?: number;
}

export interface OffsetChange {
  topic: string;
  partition: number;
  before: number | null;
  after: number | null;
}
