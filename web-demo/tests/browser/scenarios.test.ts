/** Every guided scenario, from its first step to its last; in every theme and size, with nothing for axe to find. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { close, launch, open, settled, SIZES, THEMES } from "./page";
import order from "../../scenarios/index.json";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const read = (id: string) => JSON.parse(readFileSync(new URL(`../../scenarios/${id}.json`, import.meta.url), "utf8")) as { title: string; steps: { text: string }[] };
const combinations = THEMES.flatMap((theme) => (Object.keys(SIZES) as (keyof typeof SIZES)[]).map((size) => [theme, size] as const));

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

/** What axe finds; it is run as the browser's own code, which the page's policy does not stop. */
export async function findings(page: Page): Promise<string[]> {
  const session = await page.context().newCDPSession(page);
  const run = async (expression: string) => (await session.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true })).result.value as unknown;
  await run(axe);
  const found = await run(`axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations.map(({ id, nodes }) => id + ": " + nodes.map((node) => node.target.join(" ") + " " + (node.any[0]?.message ?? "")).join(", ")))`);
  return found as string[];
}

test.each(order.map((id, at) => [id, ...(combinations[at % combinations.length] ?? combinations[0]!)] as const))("%s, %s, %s", async (id, theme, size) => {
  const { title, steps } = read(id);
  const watched = await open(browser, "", theme, size);
  const { page } = watched;
  await settled(page);
  await page.getByLabel("Speed").first().selectOption("20");
  if (id !== order[0]) {
    await page.locator(".panel:not([hidden]) .toolbar .menu > button").first().click();
    await page.getByRole("menuitem", { name: title, exact: true }).click();
  }
  for (const step of steps) {
    await page.locator(".caption-text", { hasText: step.text }).waitFor();
    await settled(page);
    if (step !== steps.at(-1)) await page.keyboard.press("Space");
  }
  expect(await findings(page)).toEqual([]);
  await close(watched);
});

test.each(combinations)("nothing sticks out of the page, %s, %s", async (theme, size) => {
  const watched = await open(browser, "", theme, size);
  const { page } = watched;
  await settled(page);
  const [wide, inner] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  expect(wide).toBeLessThanOrEqual(inner ?? 0);
  const small = await page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>("button, select, input, summary")]
      .filter((element) => element.checkVisibility() && element.type !== "checkbox" && !element.closest(".visually-hidden") && !element.classList.contains("visually-hidden"))
      .filter((element) => Math.min(element.offsetWidth, element.offsetHeight) < 24)
      .map((element) => element.outerHTML.slice(0, 80)),
  );
  expect(small).toEqual([]);
  for (const tab of ["Replay", "Live"]) {
    await page.getByRole("tab", { name: tab }).click();
    await page.waitForTimeout(200);
    expect(await findings(page)).toEqual([]);
  }
  await close(watched);
});

declare global {
  interface HTMLElement {
    type?: string;
  }
}
