/** What is hard or impossible to use on a page, as far as a program can tell. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe finds; it is run as the browser's own code, which the page's policy does not stop. */
export async function findings(page: Page): Promise<string[]> {
  const session = await page.context().newCDPSession(page);
  const run = async (expression: string) => (await session.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true })).result.value as unknown;
  await run(axe);
  const found = await run(`axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations.map(({ id, nodes }) => id + ": " + nodes.map((node) => node.target.join(" ") + " " + (node.any[0]?.message ?? "")).join(", ")))`);
  return found as string[];
}
