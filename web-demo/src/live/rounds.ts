/**
 * When the console asks the server: a round each second while it is looked at, none while it isn't.
 *
 * A round is over before the next begins. While the server is away rounds get rarer, down to one in five seconds.
 */

import { Away } from "./api";

const EVERY_MS = 1000;
const RAREST_MS = 5000;

export interface Rounds {
  /** Whether the tab of the console is shown. */
  shown(now: boolean): void;
  /** A round now, or as soon as the present one is over. */
  soon(): void;
}

/** `round` gets the number of the round since the page was last looked at; `failed` what it threw. */
export function rounds(round: (nth: number) => Promise<void>, failed: (error: unknown) => void): Rounds {
  let shown = false;
  let running = false;
  let again = false;
  let timer = 0;
  let nth = 0;
  let pauseMs = EVERY_MS;

  const looked = () => shown && !document.hidden;

  async function run(): Promise<void> {
    clearTimeout(timer);
    if (running || !looked()) {
      again = running;
      return;
    }
    running = true;
    const started = performance.now();
    try {
      await round(nth++);
      pauseMs = EVERY_MS;
    } catch (error) {
      pauseMs = error instanceof Away ? Math.min(pauseMs * 2, RAREST_MS) : EVERY_MS;
      failed(error);
    }
    running = false;
    const waitMs = again ? 0 : Math.max(0, pauseMs - (performance.now() - started));
    again = false;
    if (looked()) timer = window.setTimeout(() => void run(), waitMs);
  }

  const wake = () => {
    nth = 0;
    void run();
  };
  document.addEventListener("visibilitychange", wake);
  return {
    shown(now) {
      shown = now;
      wake();
    },
    soon: wake,
  };
}
