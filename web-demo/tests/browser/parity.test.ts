/** The same trace has the same digest natively, in Node and in a browser; and any row of a long run is soon reached. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import order from "../../scenarios/index.json";
import { close, launch, open } from "./page";
import { long, run } from "./trace";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

test.each(order)("%s: natively, in Node, in Chromium", async (scenario) => {
  const made = run(scenario);
  const file = join(mkdtempSync(join(tmpdir(), "takhin-parity-")), "trace.jsonl");
  writeFileSync(file, made.trace());
  const native = execFileSync(process.env["TAKHIN_BIN"] ?? "takhin", ["replay", file], { encoding: "utf8" });
  expect(native).toContain(`digest ${made.digest()}`);
  const watched = await open(browser, "#replay");
  await watched.page.locator("input[type=file]").setInputFiles(file);
  await watched.page.locator(".facts .digest", { hasText: `digest ${made.digest()}` }).waitFor();
  await close(watched);
});

test("a run of 100,000 rows: any of them is reached by replaying few", () => {
  const made = long(100_000);
  const took: number[] = [];
  let most = 0;
  for (let at = 0; at < 60; at++) {
    const row = (at * 48_271 + 11) % made.rows;
    const began = performance.now();
    most = Math.max(most, made.seek(row));
    took.push(performance.now() - began);
  }
  took.sort((one, other) => one - other);
  console.log(`seeking in ${made.rows} rows: ${took[30]?.toFixed(1)} ms in the middle, ${took.at(-1)?.toFixed(1)} ms at most; ${most} rows replayed at most`);
  expect(most).toBeLessThanOrEqual(made.seekBound);
  expect(made.seekBound).toBeLessThanOrEqual(2048);
});
