/**
 * A run as a link: `#v1.` and its seed and inputs as JSON, deflated, in base64url. Nothing leaves the browser for it.
 *
 * A link that can't be read says so; it never becomes something else.
 */

import type { Input } from "../engine/protocol";

export interface Shared {
  seed: string;
  inputs: Input[];
  /** Where the cursor stood, in milliseconds. */
  time: number;
  /** The scenario that it began with, if one. */
  scenario: string | null;
}

/** Links up to this length pass through chats and mails; for longer ones a file is offered. */
export const LONGEST = 1900;
const PREFIX = "v1.";
/** A link can't unfold to more than this. */
const MOST_BYTES = 4 << 20;

export async function encode(shared: Shared): Promise<string> {
  const text = JSON.stringify([shared.seed, shared.time, shared.scenario, shared.inputs]);
  const packed = await through(new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw")));
  let binary = "";
  for (const byte of packed) binary += String.fromCharCode(byte);
  return PREFIX + btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Rejects with what is wrong. */
export async function decode(hash: string): Promise<Shared> {
  const version = /^v(\d+)\./.exec(hash)?.[1];
  if (!version) throw new Error("it is no link of this page");
  if (version !== "1") throw new Error(`it has version ${version}, and this page reads version 1`);
  let value: unknown;
  try {
    const binary = atob(hash.slice(PREFIX.length).replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    const unpacked = await through(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")));
    value = JSON.parse(new TextDecoder().decode(unpacked));
  } catch {
    throw new Error("it is damaged, or was cut off");
  }
  if (!Array.isArray(value) || value.length !== 4) throw new Error("it is damaged");
  const [seed, time, scenario, inputs] = value as unknown[];
  if (typeof seed !== "string" || !/^\d{1,20}$/.test(seed) || typeof time !== "number" || !Array.isArray(inputs)) throw new Error("it is damaged");
  return { seed, time, scenario: typeof scenario === "string" ? scenario : null, inputs: inputs as Input[] };
}

async function through(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > MOST_BYTES) throw new Error("too long");
    parts.push(value);
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
