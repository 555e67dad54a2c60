/**
 * Pictures of the page, to be looked at: every state in both themes and all sizes.
 *
 * `npm run gallery` puts them all into `target/gallery`, and those that the documents show into `docs/screenshots`. With
 * `STATES=live,help` it takes these only.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, LOOKS, open, type Size, type Theme } from "../browser/page";
import { servers, STATES, type Servers } from "../browser/states";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const [all, kept] = [`${root}target/gallery`, `${root}docs/screenshots`];
/** What a picture in the documents may weigh, in bytes. */
const MOST_BYTES = 100_000;

/** Whether the documents show it. */
const isKept = (name: string, theme: Theme, size: Size) => ["simulate", "replay", "live"].includes(name) && (size === "desk" || (size === "phone" && theme === "light"));

let browser: Browser;
let at: Servers;

beforeAll(async () => {
  for (const directory of [all, kept]) mkdirSync(directory, { recursive: true });
  browser = await launch();
  at = await servers();
});
afterAll(async () => {
  await browser.close();
  for (const server of Object.values(at)) await server.stop();
});

const wanted = process.env["STATES"]?.split(",");
const shown = STATES.filter(({ name }) => wanted?.includes(name) ?? true);

test.each(shown.flatMap((state) => LOOKS.map(([theme, size]) => [state.name, theme, size, state] as const)))("%s, %s, %s", async (name, theme, size, state) => {
  const { page } = await open(browser, state.hash ?? "", theme, size, at[state.server ?? "full"].origin);
  await state.show(page);
  await page.mouse.move(0, 0);
  writeFileSync(`${all}/${name}-${theme}-${size}.png`, await page.screenshot());
  if (isKept(name, theme, size)) {
    const session = await page.context().newCDPSession(page);
    const take = async (quality: number) => Buffer.from((await session.send("Page.captureScreenshot", { format: "webp", quality })).data, "base64");
    const fine = await take(90);
    const picture = fine.length <= MOST_BYTES ? fine : await take(70);
    expect(picture.length, "a picture for the documents is too large").toBeLessThanOrEqual(MOST_BYTES);
    writeFileSync(`${kept}/${name}-${theme}${size === "desk" ? "" : `-${size}`}.webp`, picture);
  }
  await page.context().close();
});
