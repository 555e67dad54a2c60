/**
 * How quick the page is on this machine: `npm run measure` prints what docs/simulator.md tells. Nothing fails here for being slow.
 */

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, inject, test } from "vitest";
import { launch, open, settled } from "../browser/page";
import { long } from "../browser/trace";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

const say = (what: string, value: string) => console.log(`${what.padEnd(58)} ${value}`);
const ms = (value: number | undefined) => `${(value ?? Number.NaN).toFixed(1)} ms`;
const sorted = (values: number[]) => [...values].sort((one, other) => one - other);
const at = (values: number[], part: number) => sorted(values)[Math.min(values.length - 1, Math.floor(values.length * part))];

interface Line {
  name: string;
  /** Bits per second, milliseconds there and back, and how much slower the processor is. */
  throttled: { bits: number; latencyMs: number; slower: number } | null;
}

const LINES: Line[] = [
  { name: "this machine", throttled: null },
  { name: "10 Mbit/s, 40 ms, a processor 4 times slower", throttled: { bits: 10e6, latencyMs: 40, slower: 4 } },
];

/** Loads the page with nothing in the cache; first paint, and when the first scenario can be gone on with. */
async function load({ throttled }: Line): Promise<{ painted: number; usable: number }> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.setCacheDisabled", { cacheDisabled: true });
  if (throttled) {
    const bytes = throttled.bits / 8;
    await session.send("Network.emulateNetworkConditions", { offline: false, latency: throttled.latencyMs, downloadThroughput: bytes, uploadThroughput: bytes });
    await session.send("Emulation.setCPUThrottlingRate", { rate: throttled.slower });
  }
  await page.addInitScript(() => {
    new MutationObserver(() => {
      const state = window as unknown as { usable?: number };
      if (state.usable === undefined && document.querySelector(".world-body")?.childElementCount) state.usable = performance.now();
    }).observe(document, { childList: true, subtree: true });
  });
  await page.goto(inject("origin"));
  await page.waitForFunction(() => (window as unknown as { usable?: number }).usable !== undefined);
  const taken = await page.evaluate(() => ({ painted: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Number.NaN, usable: (window as unknown as { usable: number }).usable }));
  await context.close();
  return taken;
}

test("loading", async () => {
  for (const line of LINES) {
    const runs = [];
    for (let nth = 0; nth < 7; nth++) runs.push(await load(line));
    say(`first paint, ${line.name}`, ms(at(runs.map(({ painted }) => painted), 0.5)));
    say(`the core runs and shows its world, ${line.name}`, ms(at(runs.map(({ usable }) => usable), 0.5)));
  }
});

test("seeking and forking in 100,000 rows", () => {
  const run = long(100_000);
  const took: number[] = [];
  for (let nth = 0; nth < 1000; nth++) {
    const row = (nth * 48_271 + 11) % run.rows;
    const began = performance.now();
    run.seek(row);
    run.state();
    took.push(performance.now() - began);
  }
  say("a seek in 100,000 rows, with the state there", `${ms(at(took, 0.5))}, p99 ${ms(at(took, 0.99))}, at most ${ms(at(took, 1))}`);
  const forks = [];
  for (let row = 5000; row < run.rows; row += 5000) {
    const began = performance.now();
    run.fork(row).free();
    forks.push(performance.now() - began);
  }
  say("a fork in 100,000 rows", `${ms(at(forks, 0.5))}, at most ${ms(at(forks, 1))}`);
});

/** How long the page's own code takes for one frame: what runs between two callbacks of the same frame. */
async function frames(page: Page): Promise<number[]> {
  return page.evaluate(async () => {
    const took: number[] = [];
    for (let nth = 0; nth < 60; nth++) {
      await new Promise<void>((done) => {
        let began = 0;
        requestAnimationFrame(() => (began = performance.now()));
        document.querySelector(".panel:not([hidden]) .workbench")?.dispatchEvent(new KeyboardEvent("keydown", { key: nth % 2 ? "ArrowLeft" : "ArrowRight", bubbles: true }));
        document.querySelector<HTMLElement>(".panel:not([hidden]) .picture-tools [title='All of it (0)']")?.click();
        requestAnimationFrame(() => {
          took.push(performance.now() - began);
          done();
        });
      });
    }
    return took;
  });
}

test.each([2_500, 10_000])("frames with %i events in view", async (rows) => {
  const { page } = await open(browser, "#replay");
  await page.locator("input[type=file]").setInputFiles({ name: "long.jsonl", mimeType: "application/jsonl", buffer: Buffer.from(long(rows).trace()) });
  await page.locator(".facts .badge.good").waitFor();
  await settled(page);
  const took = await frames(page);
  say(`a frame with ${rows.toLocaleString("en")} events in view`, `${ms(at(took, 0.5))}, p99 ${ms(at(took, 0.99))}`);
  await page.context().close();
});
