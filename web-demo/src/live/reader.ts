/**
 * Reads a partition without a consumer: a stretch of offsets for a look, or its end as it grows.
 *
 * Reading commits nothing and is seen by no group.
 */

import { aborted, path, Refusal, type Api } from "./api";
import type { Message } from "./answers";
import { matches } from "./content";

/** How many records one request asks for. */
const PAGE = 1000;
/** How long a request waits at the log's end. */
const WAIT_MS = 20_000;
/** No two requests of a tail begin closer together. */
const EVERY_MS = 1000;

export interface Stretch {
  records: Message[];
  /** How many records were looked at. */
  seen: number;
  /** The offset after the last one. */
  next: number;
}

/** The records from `from` to before `to` that have the text; at most `most` of them. */
export async function readStretch(api: Api, topic: string, partition: number, from: number, to: number, text: string, most: number, signal: AbortSignal): Promise<Stretch> {
  const found: Stretch = { records: [], seen: 0, next: from };
  while (found.next < to && found.records.length < most) {
    const limit = Math.min(PAGE, to - found.next);
    const { body, headers } = await api.get<Message[]>(`${path("topics", topic, "messages")}?partition=${partition}&offset=${found.next}&limit=${limit}`, signal);
    for (const record of body) {
      if (record.offset >= to || found.records.length >= most) break;
      found.seen++;
      found.next = record.offset + 1;
      if (matches(record, text)) found.records.push(record);
    }
    const next = Number(headers.get("x-next-offset"));
    if (body.length === 0 && !(next > found.next)) break;
    if (found.records.length < most) found.next = Math.min(Math.max(next, found.next), Math.max(to, found.next));
  }
  return found;
}

/**
 * Follows a partition from an offset on until it is given up. `end` says where the log ends by now: a tail that is more than `behind`
 * records behind leaves out what it can't show, and says how many.
 */
export async function follow(
  api: Api,
  topic: string,
  partition: number,
  from: number,
  behind: number,
  end: () => number,
  got: (records: Message[], next: number, leftOut: number) => void,
  signal: AbortSignal,
): Promise<void> {
  let next = from;
  for (;;) {
    const started = performance.now();
    let leftOut = 0;
    if (end() - next > behind) {
      leftOut = end() - behind - next;
      next = end() - behind;
    }
    try {
      const { body, headers } = await api.get<Message[]>(`${path("topics", topic, "messages")}?partition=${partition}&offset=${next}&limit=${PAGE}&wait_ms=${WAIT_MS}`, signal, WAIT_MS);
      next = Number(headers.get("x-next-offset"));
      got(body, next, leftOut);
    } catch (error) {
      if (aborted(error)) return;
      const earliest = error instanceof Refusal && error.code === "offset_trimmed" ? error.details["earliest"] : undefined;
      if (typeof earliest !== "number") throw error;
      next = earliest;
    }
    const restMs = EVERY_MS - (performance.now() - started);
    if (restMs > 0) await new Promise((done) => setTimeout(done, restMs));
    if (signal.aborted) return;
  }
}
