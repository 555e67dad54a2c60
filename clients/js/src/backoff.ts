/**
 * How long to wait before a request is sent again: twice as long each time, a random part of it, never shorter than the
 * server asks for.
 */

const FIRST_MS = 50;
const LONGEST_MS = 5_000;

/** The wait before attempt number `attempt`, which counts from 1. */
export function backoffMs(attempt: number, retryAfterMs: number, random: () => number = Math.random): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 20));
  return Math.max(retryAfterMs, ceiling / 2 + (random() * ceiling) / 2);
}

/** Resolves after `ms`; rejects with the signal's reason as soon as it is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
