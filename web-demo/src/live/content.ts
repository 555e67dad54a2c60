/** What is in a record, for reading: JSON set out in lines, bytes as a dump, headers from text. Pure. */

/** Longer texts are shown as they are: setting them out would hold up the page. */
const LONGEST_JSON = 2 << 20;
/** Of longer bytes the dump shows the first. */
const LONGEST_DUMP = 4096;

/**
 * JSON with a line for each member, or null if the text isn't a JSON object or array. Every number and string stays as it was
 * written: an id of 19 digits is not rounded.
 */
export function prettyJson(text: string): string | null {
  if (!/^\s*[[{]/.test(text) || text.length > LONGEST_JSON) return null;
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const tokens = text.match(/"(?:\\.|[^"\\])*"|[[\]{},:]|[^\s[\]{},:"]+/g) ?? [];
  let out = "";
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  tokens.forEach((token, at) => {
    const opened = tokens[at - 1] === "{" || tokens[at - 1] === "[";
    if (token === "}" || token === "]") {
      depth--;
      out += opened ? token : line() + token;
      return;
    }
    if (opened) out += line();
    out += token === ":" ? ": " : token;
    if (token === "{" || token === "[") depth++;
    if (token === ",") out += line();
  });
  return out;
}

/** The bytes that base64 stands for. */
export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** Sixteen bytes to a line: where, in hexadecimal, and as ASCII. */
export function dump(content: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(content.length, LONGEST_DUMP); at += 16) {
    const part = [...content.subarray(at, at + 16)];
    const hex = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const ascii = part.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${hex.padEnd(47)}  ${ascii}`);
  }
  if (content.length > LONGEST_DUMP) lines.push(`… and ${content.length - LONGEST_DUMP} bytes more`);
  return lines.join("\n");
}

/** A key or value in one line. */
export function preview(text: string | null, encoding: string | undefined): string {
  if (text === null) return "null";
  if (encoding !== "base64") return text.slice(0, 300).replace(/\s+/g, " ");
  const content = fromBase64(text.slice(0, 64));
  const size = (text.length / 4) * 3 - (/=*$/.exec(text)?.[0].length ?? 0);
  return `${size} bytes: ${[...content.subarray(0, 24)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ")}${size > 24 ? " …" : ""}`;
}

/** Whether a record's key or value has the text, in any case. Bytes have none. */
export function matches(message: { key: string | null; value: string | null; key_encoding?: string; value_encoding?: string }, text: string): boolean {
  if (!text) return true;
  const wanted = text.toLowerCase();
  const has = (part: string | null, encoding: string | undefined) => part !== null && encoding !== "base64" && part.toLowerCase().includes(wanted);
  return has(message.key, message.key_encoding) || has(message.value, message.value_encoding);
}

/** Headers as they are typed, `name: value` a line; what is wrong is thrown as a sentence. */
export function parseHeaders(text: string): { key: string; value: string }[] {
  return text.split("\n").flatMap((line, at) => {
    if (line.trim() === "") return [];
    const colon = line.indexOf(":");
    if (colon < 1) throw new Error(`Line ${at + 1} of the headers has no "name: value"`);
    return [{ key: line.slice(0, colon).trim(), value: line.slice(colon + 1).trim() }];
  });
}
