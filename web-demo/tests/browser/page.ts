/** A page of a real browser, in which nothing may go wrong: no console error, no exception, no request to another host. */

import { chromium, type Browser, type Page } from "playwright-core";
import { expect, inject } from "vitest";

export const THEMES = ["light", "dark"] as const;
export const SIZES = { desk: [1440, 900], tablet: [1024, 768], phone: [390, 844] } as const;

export interface Watched {
  page: Page;
  /** What went wrong so far. */
  wrong: string[];
}

export async function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

export type Theme = (typeof THEMES)[number];
export type Size = keyof typeof SIZES;

/** Every theme in every size. */
export const LOOKS = THEMES.flatMap((theme) => (Object.keys(SIZES) as Size[]).map((size) => [theme, size] as const));

export async function open(browser: Browser, hash = "", theme: Theme = "light", size: Size = "desk", origin = inject("origin")): Promise<Watched> {
  const [width, height] = SIZES[size];
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: "reduce", acceptDownloads: true });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const page = await context.newPage();
  const wrong: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") wrong.push(message.text());
  });
  page.on("pageerror", (error) => wrong.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(origin) && !/^(blob|data):/.test(request.url())) wrong.push(`asks ${request.url()}`);
  });
  await page.goto(`${origin}/${hash}`);
  return { page, wrong };
}

/** Waits until the page has stopped playing. */
export async function settled(page: Page): Promise<void> {
  await page.locator(".panel:not([hidden]) .play[aria-label=Play]").waitFor();
}

export async function close({ page, wrong }: Watched): Promise<void> {
  await page.context().close();
  expect(wrong).toEqual([]);
}

/** A browser reports each refused or failed request; where one is meant, nothing else may be reported. */
export function expectFailedRequests(watched: Watched): void {
  const reported = watched.wrong.splice(0);
  expect(reported.length).toBeGreaterThan(0);
  expect(reported.filter((text) => !text.includes("Failed to load resource"))).toEqual([]);
}

/** The list of events, as far as it is shown. */
export function events(page: Page) {
  return page.locator(".panel:not([hidden]) .row .text");
}

export async function filter(page: Page, words: string): Promise<void> {
  await page.locator(".panel:not([hidden]) .filter").fill(words);
}

/** An empty world, without a guide. */
export async function empty(page: Page): Promise<void> {
  await page.locator(".play").first().waitFor();
  await settled(page);
  await page.locator(".panel:not([hidden]) .toolbar .menu > button").first().click();
  await page.getByRole("menuitem", { name: "An empty world" }).click();
  await page.getByText("Nothing is there yet. Begin with a topic, above.").waitFor();
}

/** Chooses from one of the menus in the toolbar. */
export async function menu(page: Page, button: string, item: string): Promise<void> {
  await page.locator(".panel:not([hidden]) .toolbar, .actions:not([hidden])").getByRole("button", { name: button, exact: false }).click();
  await page.getByRole("menuitem", { name: item, exact: true }).click();
}
