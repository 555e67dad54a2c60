/** Every guided scenario, from its first step to its last, in every theme and size, with nothing for axe to find at its end. */

import { readFileSync } from "node:fs";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findings } from "./axe";
import { close, launch, LOOKS, open, settled } from "./page";
import order from "../../scenarios/index.json";

const read = (id: string) => JSON.parse(readFileSync(new URL(`../../scenarios/${id}.json`, import.meta.url), "utf8")) as { title: string; steps: { text: string }[] };

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

test.each(LOOKS)("one after the other, %s, %s", async (theme, size) => {
  const watched = await open(browser, "", theme, size);
  const { page } = watched;
  await settled(page);
  await page.getByLabel("Speed").first().selectOption("20");
  for (const id of order) {
    const { title, steps } = read(id);
    // The first one is there when the page is opened.
    if (id !== order[0]) {
      await page.locator(".panel:not([hidden]) .toolbar .menu > button").first().click();
      await page.getByRole("menuitem", { name: title, exact: true }).click();
    }
    for (const step of steps) {
      await page.locator(".caption-text", { hasText: step.text }).waitFor();
      await settled(page);
      if (step !== steps.at(-1)) await page.keyboard.press("Space");
    }
    expect(await findings(page), title).toEqual([]);
  }
  await close(watched);
});
