/**
 * Requests and their repetition. Whoever calls [[Http.send]] promises that the request can be repeated: that it reads,
 * or says again what is known already (an offset, an id, a sequence), so that a second arrival changes nothing.
 */

import { backoffMs, sleep } from "./backoff.ts";
import { ApiError, ConnectionError, type ErrorBody } from "./errors.ts";

export interface ConnectionOptions {
  /** Where the server is, as in `http://localhost:8080`; several, if it can be reached at several addresses. */
  url: string | readonly string[];
  /** Sent as `Authorization: Bearer …`, where the server wants a key. */
  apiKey?: string;
  /** For how long a request is repeated while the server can't be reached or asks for patience; 120,000 ms. */
  retryForMs?: number;
  /** Instead of the global `fetch`. */
  fetch?: typeof fetch;
}

export interface Call {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  query?: Record<string, string | number | boolean | undefined> | undefined;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** How long the server may take to answer, beyond what a network takes. */
  waitMs?: number;
  /** Instead of the connection's `retryForMs`; 0 is one attempt. */
  retryForMs?: number | undefined;
  /** It can't be repeated after all, unless it is known that it came to nothing. */
  once?: boolean;
}

export interface Answer<T> {
  body: T;
  headers: Headers;
  /** Whether an earlier attempt got no answer, and so may have been carried out. */
  repeated: boolean;
}

const NETWORK_MS = 15_000;

/** A failed attempt, and whether another may help. */
class Failure {
  readonly error: Error;
  readonly again: boolean;
  readonly answered: boolean;
  readonly retryAfterMs: number;

  constructor(error: Error, again: boolean, answered: boolean, retryAfterMs = 0) {
    this.error = error;
    this.again = again;
    this.answered = answered;
    this.retryAfterMs = retryAfterMs;
  }
}

export class Http {
  readonly #urls: readonly string[];
  readonly #headers: Record<string, string>;
  readonly #retryForMs: number;
  readonly #fetch: typeof fetch;
  #at = 0;

  constructor(options: ConnectionOptions) {
    const urls = typeof options.url === "string" ? [options.url] : options.url;
    if (urls.length === 0) throw new TypeError("url: at least one address is needed");
    this.#urls = urls.map(address);
    this.#headers = options.apiKey === undefined ? {} : { authorization: `Bearer ${options.apiKey}` };
    this.#retryForMs = options.retryForMs ?? 120_000;
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  }

  /** Sends until there is an answer, the time for repetitions is over, or the signal is aborted. */
  async send<T>(call: Call): Promise<Answer<T>> {
    const end = Date.now() + (call.retryForMs ?? this.#retryForMs);
    let repeated = false;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt<T>(call);
      if (!(outcome instanceof Failure)) return { ...outcome, repeated };
      if (outcome.error instanceof ApiError) outcome.error.repeated = repeated;
      repeated ||= !outcome.answered;
      const pause = backoffMs(attempt, outcome.retryAfterMs);
      const mayRepeat = outcome.again && (outcome.answered || !call.once);
      if (!mayRepeat || Date.now() + pause > end) throw outcome.error;
      if (!outcome.answered) this.#at++;
      await sleep(pause, call.signal);
    }
  }

  /** A response whose body is read as it comes, from one attempt. Throws as [[send]] does. */
  async open(call: Call): Promise<Response> {
    const response = await this.#respond(call, call.signal);
    if (response instanceof Failure) throw response.error;
    return response;
  }

  async #attempt<T>(call: Call): Promise<{ body: T; headers: Headers } | Failure> {
    const timeout = AbortSignal.timeout((call.waitMs ?? 0) + NETWORK_MS);
    const signal = call.signal ? AbortSignal.any([call.signal, timeout]) : timeout;
    const response = await this.#respond(call, signal);
    if (response instanceof Failure) return response;
    try {
      return { body: (await response.json()) as T, headers: response.headers };
    } catch (error) {
      call.signal?.throwIfAborted();
      return new Failure(new ConnectionError("the answer was cut off", { cause: error }), true, false);
    }
  }

  async #respond(call: Call, signal: AbortSignal | undefined): Promise<Response | Failure> {
    const url = this.#url(call);
    const headers: Record<string, string> = { ...this.#headers, ...call.headers };
    const init: RequestInit = { method: call.method, headers, signal: signal ?? null };
    if (call.body !== undefined) {
      headers["content-type"] = "application/json";
      init.body = typeof call.body === "string" ? call.body : JSON.stringify(call.body);
    }
    let response: Response;
    try {
      response = await this.#fetch(url, init);
      if (response.ok) return response;
      return await refusal(response);
    } catch (error) {
      call.signal?.throwIfAborted();
      const why = error instanceof Error ? ((error.cause as Error | undefined)?.message ?? error.message) : String(error);
      return new Failure(new ConnectionError(`no answer from ${url}: ${why}`, { cause: error }), true, false);
    }
  }

  #url(call: Call): string {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) query.set(name, String(value));
    }
    const asked = query.size > 0 ? `?${query}` : "";
    return `${this.#urls[this.#at % this.#urls.length]}${call.path}${asked}`;
  }
}

/** `host:port` is an address too. */
function address(text: string): string {
  const url = new URL(/^https?:\/\//.test(text) ? text : `http://${text}`);
  return url.href.replace(/\/+$/, "");
}

async function refusal(response: Response): Promise<Failure> {
  const text = await response.text();
  const retryAfterMs = 1_000 * (Number(response.headers.get("retry-after")) || 0);
  let body: ErrorBody | undefined;
  try {
    body = JSON.parse(text) as ErrorBody;
  } catch {
    // Not the server's own words, but those of something on the way to it.
  }
  if (typeof body?.code !== "string") {
    const onTheWay = [429, 502, 503, 504].includes(response.status);
    const said = text.slice(0, 200) || response.statusText;
    const error = new ApiError(response.status, { error: said, code: "not_takhin", retryable: onTheWay });
    return new Failure(error, onTheWay, ![502, 504].includes(response.status), retryAfterMs);
  }
  // "unknown" is what the server itself can't tell: the repetition settles it.
  const answered = body.details?.["applied"] !== "unknown";
  return new Failure(new ApiError(response.status, body), body.retryable, answered, retryAfterMs);
}
