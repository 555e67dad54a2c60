/** A record as a consumer or a reader gets it. */

import { bytesOf, fromBase64, textOf } from "./bytes.ts";

/** A record as the server writes it. */
export interface WireRecord {
  topic?: string;
  partition: number;
  offset: number;
  timestamp: number;
  key: string | null;
  value: string | null;
  key_encoding?: "base64";
  value_encoding?: "base64";
  headers: Record<string, string>;
  headers_list?: { key: string; value: string | null; encoding?: "base64" }[];
}

export interface MessageHeader {
  key: string;
  value: Uint8Array | null;
}

/** A record. What is bytes is decoded when it is asked for. */
export class Message {
  readonly #wire: WireRecord;
  readonly topic: string;

  constructor(wire: WireRecord, topic: string) {
    this.#wire = wire;
    this.topic = topic;
  }

  get partition(): number {
    return this.#wire.partition;
  }

  get offset(): number {
    return this.#wire.offset;
  }

  /** Milliseconds since the epoch. */
  get timestamp(): number {
    return this.#wire.timestamp;
  }

  /** The key's bytes; null for none, which differs from an empty one. */
  get keyBytes(): Uint8Array | null {
    return bytes(this.#wire.key, this.#wire.key_encoding);
  }

  /** The value's bytes; null for none (a tombstone), which differs from an empty one. */
  get valueBytes(): Uint8Array | null {
    return bytes(this.#wire.value, this.#wire.value_encoding);
  }

  /** The key as text, with U+FFFD where it is not UTF-8. */
  get key(): string | null {
    return text(this.#wire.key, this.#wire.key_encoding);
  }

  /** The value as text, with U+FFFD where it is not UTF-8. */
  get value(): string | null {
    return text(this.#wire.value, this.#wire.value_encoding);
  }

  /** The value, parsed as JSON; null for none. Throws a SyntaxError if it isn't JSON. */
  json<T = unknown>(): T | null {
    const value = this.value;
    return value === null ? null : (JSON.parse(value) as T);
  }

  /** The last header of each name, as text. */
  get headers(): Readonly<Record<string, string>> {
    return this.#wire.headers;
  }

  /** All headers in their order, repeated names included. */
  get headersList(): MessageHeader[] {
    const list = this.#wire.headers_list;
    if (list) return list.map(({ key, value, encoding }) => ({ key, value: bytes(value, encoding) }));
    return Object.entries(this.#wire.headers).map(([key, value]) => ({ key, value: bytesOf(value) }));
  }

  toJSON(): Record<string, unknown> {
    return { topic: this.topic, ...this.#wire };
  }
}

function bytes(text: string | null, encoding: "base64" | undefined): Uint8Array | null {
  if (text === null) return null;
  return encoding ? fromBase64(text) : bytesOf(text);
}

function text(raw: string | null, encoding: "base64" | undefined): string | null {
  return raw !== null && encoding ? textOf(fromBase64(raw)) : raw;
}
