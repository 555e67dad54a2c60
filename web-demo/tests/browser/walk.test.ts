/** A newcomer's way: from the README's first command and the link that it prints, to a long poll that wakes. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { close, launch, open } from "./page";
import { serve, type Server } from "./server";

/** Presses of a key that it may take. */
const MOST_PRESSES = 4;

let browser: Browser;
let server: Server;
beforeAll(async () => {
  browser = await launch();
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

test("the printed link, and space: no click, and nothing to read but what the page says", async () => {
  const began = performance.now();
  // Started as the README says; the link is taken from what the server prints.
  server = await serve();
  const watched = await open(browser, "", "light", "desk", server.origin);
  const { page } = watched;
  const caption = page.locator(".caption-text");
  let presses = 0;
  for (;;) {
    await page.getByRole("button", { name: "Go on" }).waitFor();
    const text = (await caption.textContent()) ?? "";
    if (text.includes("wakes")) break;
    if (presses === 0) expect(text).toContain("Press space");
    await page.keyboard.press("Space");
    presses++;
    await page.waitForFunction((before) => document.querySelector(".caption-text")?.textContent !== before, text);
  }
  console.log(`a long poll woke after ${presses} presses of space and ${((performance.now() - began) / 1000).toFixed(1)} s, the server's start among them`);
  expect(presses).toBeLessThanOrEqual(MOST_PRESSES);
  await close(watched);
});
