/** Figures and reasons as a person says them. Pure: the same in every place and time zone, unless said otherwise. */

import type { ByTopic, LastRebalance } from "./answers";

const GROUPED = new Intl.NumberFormat("en");

/** `12,345`; a dash for what isn't known. */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : GROUPED.format(value);
}

/** `1 record`, `2 records`. */
export function many(value: number, one: string, more = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : more}`;
}

/** A span of time with its greatest unit, as in `850 ms`, `4.2 s`, `12 min`, `3 h`, `7 days`. */
export function span(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (ms < 60_000) return `${Math.floor(ms / 1000)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${Math.floor(ms / 3_600_000)} h`;
  return `${count(Math.floor(ms / 86_400_000))} days`;
}

/** A number of bytes with a binary unit. */
export function bytes(value: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024;
    at++;
  }
  return `${at === 0 || Number.isInteger(value) ? count(value) : value.toFixed(1)} ${units[at]}`;
}

/** The time of day here, to the millisecond. */
export function clock(ms: number): string {
  const at = new Date(ms);
  const two = (part: number) => String(part).padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

/** A topic's setting, in words. */
export function setting(name: string, value: unknown): string {
  if (typeof value !== "number") return String(value);
  if (value === -1) return name.endsWith("_ms") ? "for ever" : "without limit";
  if (name.endsWith("_ms")) return value === 0 ? "0" : span(value);
  return name.endsWith("_bytes") ? bytes(value) : count(value);
}

/** The name of a setting as a label: `retention_ms` is `retention`. */
export function settingName(name: string): string {
  const words = name.replace(/_(ms|bytes)$/, "").replaceAll("_", " ");
  if (name.endsWith("_bytes")) return `${words} size`;
  return name.endsWith("_ms") && !/retention|lag/.test(name) ? `${words} time` : words;
}

/** What a person calls a consumer: its own name for itself, else the beginning of its id. */
export function memberName(member: { consumer_id: string; client_id?: string; instance_id?: string }): string {
  return member.client_id ?? member.instance_id ?? member.consumer_id.slice(0, 8);
}

/** `0–3, 5` for `[0, 1, 2, 3, 5]`. */
export function ranges(partitions: number[]): string {
  const sorted = [...partitions].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let at = 0; at < sorted.length; at++) {
    const from = sorted[at];
    while (sorted[at + 1] === (sorted[at] ?? NaN) + 1) at++;
    parts.push(from === sorted[at] ? `${from}` : `${from}–${sorted[at]}`);
  }
  return parts.join(", ");
}

/** `orders 0–2 · audit 0`; a dash if there is nothing. */
export function assignment(byTopic: ByTopic): string {
  const parts = Object.entries(byTopic).flatMap(([topic, partitions]) => (partitions.length ? [`${topic} ${ranges(partitions)}`] : []));
  return parts.join(" · ") || "–";
}

const LEFT: Record<string, string> = {
  closed: "said goodbye",
  session_timeout: "was not heard of for its session timeout",
  rebalance_timeout: "held on to a revoked partition for too long",
  replaced: "was replaced by another with its instance id",
  poll_interval: "did not poll for its longest poll interval",
};

/** Why a group was assigned anew, as a sentence; `name` says what a consumer is called. */
export function rebalanced(why: LastRebalance | null, name: (consumer: string) => string): string {
  if (why === null) return "not yet";
  if (why === "recovered") return "the server's start found the group between two decisions";
  const [kind, detail] = typeof why === "string" ? [why, ""] : (Object.entries(why)[0] ?? ["", ""]);
  const [who, how] = Array.isArray(detail) ? detail : [detail, ""];
  switch (kind) {
    case "joined":
      return `${name(who)} joined`;
    case "left":
      return `${name(who)} ${LEFT[how] ?? `left (${how})`}`;
    case "resubscribed":
      return `${name(who)} wants other topics`;
    case "unsubscribed":
      return `${name(who)} took partitions by hand`;
    case "topics_changed":
      return `the topic ${who} came, went or grew`;
    default:
      return `${kind.replaceAll("_", " ")} ${who}`.trim();
  }
}
