/** Every state of the page in both themes and all sizes: accessible, nothing sticks out, nothing is too small to be hit. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findings } from "./axe";
import { close, expectFailedRequests, launch, LOOKS, open } from "./page";
import { servers, STATES, type Servers } from "./states";

let browser: Browser;
let at: Servers;

beforeAll(async () => {
  browser = await launch();
  at = await servers();
});
afterAll(async () => {
  await browser.close();
  for (const server of Object.values(at)) await server.stop();
});

test.each(STATES.flatMap((state) => LOOKS.map(([theme, size]) => [state.name, theme, size, state] as const)))("%s, %s, %s", async (_name, theme, size, state) => {
  const watched = await open(browser, state.hash ?? "", theme, size, at[state.server ?? "full"].origin);
  const { page } = watched;
  await state.show(page);
  expect(await findings(page)).toEqual([]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it can be scrolled sideways").toBe(true);
  const small = await page
    .locator(":is(button, select, summary, [role=button], input:not([type=checkbox]):not(.visually-hidden)):visible")
    .evaluateAll((all) => all.filter((one) => Math.min((one as HTMLElement).offsetWidth, (one as HTMLElement).offsetHeight) < 24).map((one) => one.outerHTML.slice(0, 80)));
  expect(small).toEqual([]);
  if (state.refused) expectFailedRequests(watched);
  await close(watched);
});
