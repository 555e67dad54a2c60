/** A record on its way out: what the caller gave, as the JSON that is sent, and the promise that waits for its offset. */

import { bytesOf, exactText, toBase64 } from "./bytes.ts";

export interface OutgoingRecord {
  topic: string;
  /** Text or bytes; null or nothing for none. Records with equal keys go to the same partition. */
  key?: string | Uint8Array | null;
  /** Text or bytes; null for none (a tombstone); anything else is sent as its JSON. */
  value: unknown;
  /** Else the key decides, else the records without one share a partition a batch. */
  partition?: number;
  headers?: Readonly<Record<string, string>> | readonly { key: string; value: string | Uint8Array | null }[];
  /** Milliseconds since the epoch; else the time at which the server takes it. */
  timestamp?: number;
}

/** Where a record is. */
export interface Stored {
  topic: string;
  partition: number;
  offset: number;
  timestamp: number | undefined;
}

export interface Outgoing {
  readonly json: string;
  readonly keyBytes: Uint8Array | undefined;
  readonly partition: number | undefined;
  resolve(stored: Stored): void;
  reject(error: unknown): void;
}

/** The record as JSON, without its partition. Throws what JSON.stringify throws. */
export function encoded(record: OutgoingRecord): string {
  const fields: Record<string, unknown> = {};
  if (record.key !== undefined && record.key !== null) put(fields, "key", record.key);
  const value = record.value;
  if (value === null || value === undefined) fields["value"] = null;
  else if (typeof value === "string" || value instanceof Uint8Array) put(fields, "value", value);
  else fields["value"] = JSON.stringify(value);
  if (record.timestamp !== undefined) fields["timestamp"] = record.timestamp;
  if (Array.isArray(record.headers)) fields["headers_list"] = record.headers.map(header);
  else if (record.headers) fields["headers"] = record.headers;
  return JSON.stringify(fields);
}

export function keyBytes(key: string | Uint8Array | null | undefined): Uint8Array | undefined {
  if (key === null || key === undefined) return undefined;
  return typeof key === "string" ? bytesOf(key) : key;
}

function put(fields: Record<string, unknown>, name: "key" | "value", content: string | Uint8Array): void {
  const text = typeof content === "string" ? content : exactText(content);
  fields[name] = text ?? toBase64(content as Uint8Array);
  if (text === undefined) fields[`${name}_encoding`] = "base64";
}

function header({ key, value }: { key: string; value: string | Uint8Array | null }): Record<string, unknown> {
  if (value === null || typeof value === "string") return { key, value };
  const text = exactText(value);
  return text === undefined ? { key, value: toBase64(value), encoding: "base64" } : { key, value: text };
}
