/**
 * The server's HTTP API, as the console uses it: one way to ask, and one way to fail.
 *
 * What comes back is what the server said, a `Refusal` (it answered with an error), or `Away` (nobody that is a Takhin
 * server answered). An API key is kept for as long as the tab is open, and goes out in no other way than as a header.
 */

/** The server's own words for why it did not do it. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: Record<string, unknown>,
  ) {
    super(message);
  }
}

/** No answer, or none of a Takhin server. */
export class Away extends Error {}

export interface Answer<T> {
  body: T;
  headers: Headers;
}

const KEPT = "takhin.key";
/** What an answer may take; long polls add what they wait. */
const PATIENCE_MS = 10_000;

export class Api {
  private key = kept();
  /** Told each time the server answers 401. */
  onUnauthorized: () => void = () => undefined;

  get hasKey(): boolean {
    return this.key !== "";
  }

  /** Uses this key from now on; an empty one is none. */
  use(key: string): void {
    this.key = key.trim();
    try {
      if (this.key) sessionStorage.setItem(KEPT, this.key);
      else sessionStorage.removeItem(KEPT);
    } catch {
      // A browser that keeps nothing still has the key until the page is left.
    }
  }

  async get<T>(path: string, signal?: AbortSignal, waitMs = 0): Promise<Answer<T>> {
    const response = await this.ask(path, { method: "GET" }, signal, waitMs);
    return { body: await read<T>(response), headers: response.headers };
  }

  async send<T>(method: "POST" | "PUT", path: string, body: unknown): Promise<T> {
    const response = await this.ask(path, { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } });
    return read<T>(response);
  }

  /** An answer that is not JSON, as it is. */
  async text(path: string): Promise<string> {
    const response = await this.ask(path, { method: "GET" }, undefined, 50_000);
    if (!response.ok) await read(response);
    return response.text();
  }

  private async ask(path: string, init: RequestInit, signal?: AbortSignal, waitMs = 0): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.key) headers.set("authorization", `Bearer ${this.key}`);
    const limit = AbortSignal.timeout(PATIENCE_MS + waitMs);
    let response: Response;
    try {
      response = await fetch(path, { ...init, headers, cache: "no-store", signal: signal ? AbortSignal.any([signal, limit]) : limit });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Away("the server does not answer");
    }
    if (response.status === 401) this.onUnauthorized();
    return response;
  }
}

async function read<T>(response: Response): Promise<T> {
  let body: unknown;
  try {
    body = await response.json();
  } catch {
    throw new Away(`what answers here is no Takhin server (status ${response.status})`);
  }
  if (response.ok) return body as T;
  const { error, code, details } = body as { error?: string; code?: string; details?: Record<string, unknown> };
  throw new Refusal(response.status, code ?? "", error ?? `status ${response.status}`, details ?? {});
}

function kept(): string {
  try {
    return sessionStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}

/** A path with its parts encoded. */
export function path(...parts: (string | number)[]): string {
  return `/api/${parts.map((part) => encodeURIComponent(part)).join("/")}`;
}

/** What an error says to a person. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whether a request was given up by the page itself. */
export function aborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
