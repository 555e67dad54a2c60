/** Takhin for Node and browsers. */

import { Admin } from "./admin.ts";
import { Consumer } from "./consumer.ts";
import { type ConnectionOptions, Http } from "./http.ts";
import type { ConsumerOptions } from "./options.ts";
import { Producer, type ProducerOptions } from "./producer.ts";

/** A server, and what can be had from it. */
export class Takhin {
  readonly #http: Http;
  readonly admin: Admin;

  constructor(connection: string | ConnectionOptions) {
    this.#http = new Http(typeof connection === "string" ? { url: connection } : connection);
    this.admin = new Admin(this.#http);
  }

  /** A consumer of a group. It joins with its first poll. */
  consumer(options: ConsumerOptions): Consumer {
    return new Consumer(this.#http, options);
  }

  producer(options: ProducerOptions = {}): Producer {
    return new Producer(this.#http, options);
  }
}

export { Admin } from "./admin.ts";
export type { Group, GroupPartition, GroupSummary, ReadOptions, Reset, ResetOptions, ResetTarget, Topic, TopicSettings } from "./admin.ts";
export { Consumer } from "./consumer.ts";
export type { PollOptions, SeekTarget } from "./consumer.ts";
export {
  ApiError, BufferFullError, ClosedError, ConnectionError, ConsumerLostError, FencedError, OutcomeUnknownError,
  TakhinError,
} from "./errors.ts";
export type { ConnectionOptions } from "./http.ts";
export { Message } from "./message.ts";
export type { MessageHeader } from "./message.ts";
export type { ConsumerOptions } from "./options.ts";
export type { OutgoingRecord, Stored } from "./outgoing.ts";
export type { TopicPartition, TopicPartitionOffset } from "./partitions.ts";
export { Producer } from "./producer.ts";
export type { ProducerOptions } from "./producer.ts";
export type { CommitOffset } from "./session.ts";
