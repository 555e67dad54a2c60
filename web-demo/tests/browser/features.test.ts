/** What one can do on the page, as one does it: with buttons, keys, files and links. */

import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from "vitest";
import { close, empty, events, filter, launch, menu, open, settled, type Watched } from "./page";
import { trace } from "./trace";

let browser: Browser;
let watched: Watched;
let page: Page;
const files = mkdtempSync(join(tmpdir(), "takhin-files-"));

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
beforeEach(async () => {
  watched = await open(browser);
  page = watched.page;
  await settled(page);
});
afterEach(() => close(watched));

async function add(what: string, values: Record<string, string> = {}): Promise<void> {
  await page.getByRole("button", { name: `+ ${what}` }).click();
  for (const [label, value] of Object.entries(values)) await page.getByLabel(label).fill(value);
  await page.getByRole("button", { name: "Do it" }).click();
  await back();
}

/** Waits until keys go to the workbench again. */
async function back(): Promise<void> {
  await page.waitForFunction(() => document.activeElement?.classList.contains("workbench"));
}

async function fault(name: string, client?: string): Promise<void> {
  await menu(page, "Fault", name);
  if (client) await page.locator("dialog[open] select").selectOption(client);
  const go = page.getByRole("button", { name: "Do it" });
  if (!(await go.isVisible())) return;
  await go.click();
  await back();
}

/** Plays until so much simulated time has passed. */
async function play(ms: number): Promise<void> {
  const seconds = () => parseFloat(document.querySelector(".panel:not([hidden]) .where")?.textContent ?? "0");
  const from = await page.evaluate(seconds);
  await page.getByRole("button", { name: "Play", exact: true }).click();
  await page.waitForFunction((until) => parseFloat(document.querySelector(".panel:not([hidden]) .where")?.textContent ?? "0") >= until, from + ms / 1000);
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await settled(page);
}

async function until(what: string): Promise<void> {
  await menu(page, "Run until", what);
}

/** A world with two consumers that share a topic. */
async function world(): Promise<void> {
  await empty(page);
  await add("topic");
  await page.keyboard.press("Space");
  await page.locator(".world h3", { hasText: "orders" }).waitFor();
  await page.keyboard.press("Space");
  await settled(page);
  await add("producer", { "Sends every": "200" });
  await add("consumer", { "Session timeout": "3000" });
  await add("consumer", { "Session timeout": "3000" });
  await until("a new generation");
  await until("a new generation");
  await page.locator(".member", { hasText: "c2" }).waitFor();
}

test("a world is made by hand, and goes on by itself", async () => {
  await world();
  await until("somebody wakes");
  await page.locator(".said", { hasText: /wakes with \d+ record/ }).waitFor();
  expect(await page.locator(".world").textContent()).toContain("billing");
});

test("why a poll woke: produce, append, wake; there and back with [ and ]", async () => {
  await world();
  await until("somebody wakes");
  await page.locator(".said", { hasText: "wakes" }).waitFor();
  const why = page.locator(".inspector .section", { hasText: "Why" }).first();
  await why.getByText(/produces 1 record/).last().waitFor();
  await why.getByText(/has offset/).last().waitFor();
  await page.keyboard.press("[");
  await page.locator(".said", { hasText: "has offset" }).waitFor();
  await page.keyboard.press("[");
  await page.locator(".said", { hasText: "produces" }).waitFor();
  await page.keyboard.press("]");
  await page.locator(".said", { hasText: "has offset" }).waitFor();
  expect(await page.locator(".changes li").count()).toBeGreaterThan(0);
});

test("what is done in the past makes a branch; the other one stays, and both can be compared", async () => {
  await world();
  await until("somebody wakes");
  await play(1200);
  await page.keyboard.press("Shift+ArrowLeft");
  await fault("Kill a client", "c2");
  await page.getByText(/Branch B begins here/).first().waitFor();
  await until("a consumer expires");
  await page.locator(".said", { hasText: "session expired" }).waitFor();
  await page.getByLabel("Compare with").selectOption({ label: "with branch A" });
  await page.locator(".compare-bar", { hasText: "different from" }).waitFor();
  await page.keyboard.press("b");
  await filter(page, "kind:expired");
  await page.getByText("No event matches the filter.").waitFor();
});

test("a broken promise stops the run, and is marked", async () => {
  await world();
  await until("somebody wakes");
  await page.getByLabel("Speed").first().selectOption("5");
  await play(1500);
  await fault("Crash, and the disk lied");
  await page.keyboard.press("Space");
  await page.locator(".message.bad", { hasText: "A promise is broken" }).waitFor();
  await settled(page);
  await page.locator(".row.broken").first().waitFor();
  await page.keyboard.press("Home");
  await page.keyboard.press("n");
  await page.locator(".headline .message.bad").waitFor();
});

test("every fault can be had, and nothing breaks but what it says", async () => {
  await world();
  await until("somebody wakes");
  const faults = await page.locator("#fault-menu .menu-item").allTextContents();
  for (const name of faults.filter((one) => one !== "Crash, and the disk lied")) {
    await fault(name);
    await page.keyboard.press("ArrowRight");
  }
  await filter(page, "kind:fault");
  expect(await events(page).count()).toBeGreaterThan(4);
  await filter(page, "kind:violation");
  await page.getByText("No event matches the filter.").waitFor();
});

test("the list is the picture in words, and can be gone through with keys", async () => {
  await world();
  await until("somebody wakes");
  await filter(page, "kind:rebalanced group:billing");
  await page.locator(".events-head .soft", { hasText: "2 of" }).waitFor();
  const grid = page.getByRole("grid", { name: "Events" });
  await grid.focus();
  await page.keyboard.press("Home");
  await page.locator(".said", { hasText: "generation 1" }).waitFor();
  await page.keyboard.press("ArrowDown");
  await page.locator(".said", { hasText: "generation 2" }).waitFor();
});

test("all of it can be done with keys", async () => {
  await world();
  await until("somebody wakes");
  await page.locator(".said", { hasText: "wakes" }).waitFor();
  const where = page.locator(".panel:not([hidden]) .where");
  const at = async () => Number(/event (\d+)/.exec((await where.textContent()) ?? "")?.[1]);
  const said = page.locator(".panel:not([hidden]) .said");
  const end = await at();
  await page.keyboard.press("ArrowLeft");
  await expect.poll(at).toBe(end - 1);
  await page.keyboard.press("Shift+ArrowLeft");
  await expect.poll(at).toBe(end - 11);
  const text = await said.textContent();
  await page.keyboard.press("Alt+ArrowRight");
  await expect.poll(() => said.textContent()).not.toBe(text);
  await page.keyboard.press("Home");
  await expect.poll(at).toBe(0);
  await page.keyboard.press("x");
  await page.locator(".panel:not([hidden]) .said", { hasText: "generation 1" }).waitFor();
  await page.keyboard.press("End");
  await expect.poll(at).toBe(end);
  await page.keyboard.press("Escape");
  await page.getByText("Choose an event, in the picture or in the list").waitFor();
  for (const key of ["+", "-", "0"]) await page.keyboard.press(key);
  await page.keyboard.press("/");
  await page.keyboard.type("kind:woke");
  const shown = page.locator(".panel:not([hidden]) .events-head .soft");
  await expect.poll(() => shown.textContent()).toMatch(/^[1-9]\d* of \d+$/);
  await page.keyboard.press("Escape");
  await expect.poll(() => shown.textContent()).toMatch(/^\d+$/);
  await page.keyboard.press("4");
  await expect.poll(() => page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe("Events");
  await page.keyboard.press("Home");
  await said.waitFor();
  await page.keyboard.press("f");
  await page.getByText(/Branch B begins here/).first().waitFor();
  await page.keyboard.press("b");
  await expect.poll(() => page.getByLabel("Branch", { exact: true }).locator("option:checked").first().textContent()).toBe("branch A");
  await page.keyboard.press("Space");
  await page.getByRole("button", { name: "Pause", exact: true }).waitFor();
  await page.keyboard.press("Space");
  await settled(page);
  // Whether a file is asked for is seen where it is asked: what a browser then shows is its own.
  await page.evaluate(() => document.addEventListener("click", (event) => {
    if (!(event.target instanceof HTMLInputElement) || event.target.type !== "file") return;
    event.preventDefault();
    document.body.dataset["asked"] = "yes";
  }, true));
  await page.keyboard.press("o");
  await page.locator("body[data-asked=yes]").waitFor();
  await page.getByRole("tab", { name: "Replay", selected: true }).waitFor();
});

test("a trace that is dropped on the page is opened, wherever one is", async () => {
  const data = await page.evaluateHandle((text) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([text], "run.jsonl"));
    return transfer;
  }, trace("first-message"));
  await page.dispatchEvent("body", "drop", { dataTransfer: data });
  await page.locator(".facts", { hasText: "run.jsonl" }).locator(".badge.good").waitFor();
});

test("what went wrong is said until it is closed", async () => {
  const other = await open(browser, "#v1.AAAA");
  await other.page.clock.install();
  await other.page.getByText(/This link can't be opened/).first().waitFor();
  await other.page.clock.runFor(60_000);
  await other.page.getByRole("button", { name: "Close the message" }).click();
  await other.page.locator(".notice").waitFor({ state: "hidden" });
  await close(other);
});

test("a link holds the whole run", async () => {
  await world();
  await until("somebody wakes");
  const said = page.locator(".said", { hasText: "wakes" });
  await said.waitFor();
  const where = await said.textContent();
  await page.keyboard.press("s");
  await page.getByText("The link is copied").first().waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  expect(link.length).toBeLessThan(1900);
  const other = await open(browser, new URL(link).hash);
  await other.page.getByText("This run came with the link").first().waitFor();
  await filter(other.page, "kind:woke");
  await other.page.locator(".row .text", { hasText: where?.slice(0, 20) ?? "?" }).first().waitFor();
  await close(other);
});

test("a link that can't be read says so, and is no demonstration", async () => {
  const other = await open(browser, "#v1.AAAA");
  await other.page.getByText(/This link can't be opened/).first().waitFor();
  expect(await other.page.locator(".caption").count()).toBe(0);
  await close(other);
});

test("a link is opened in a page that is open already", async () => {
  await page.evaluate(() => (location.hash = "#v1.AAAA"));
  await page.getByText(/This link can't be opened/).first().waitFor();
});

test("what is taken away can be brought back: trace, scenario, picture, test", async () => {
  await world();
  await until("somebody wakes");
  for (const [item, name] of [["Trace (JSON Lines)", "takhin-trace.jsonl"], ["Scenario (JSON)", "takhin-scenario.json"], ["Picture (SVG)", "takhin.svg"]] as const) {
    const download = page.waitForEvent("download");
    await menu(page, "Export", item);
    await (await download).saveAs(join(files, name));
  }
  expect(readFileSync(join(files, "takhin.svg"), "utf8")).toMatch(/^<svg .*orders\/0.*<\/svg>\n$/s);
  await menu(page, "Export", "Copy as test");
  await page.getByText("The test is copied").first().waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain("assert_eq!(run.digest()");
  await menu(page, "Export", "Copy replay command");
  await page.getByText("The command is copied").first().waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain("takhin replay takhin-trace.jsonl");
  await page.getByRole("tab", { name: "Replay" }).click();
  await page.locator("input[type=file]").setInputFiles(join(files, "takhin-trace.jsonl"));
  await page.locator(".facts .badge.good").waitFor();
  await page.locator("input[type=file]").setInputFiles(join(files, "takhin-scenario.json"));
  await page.getByText("The scenario is open.").first().waitFor();
});

test("a trace that differs shows its first step that does", async () => {
  const text = trace("crash");
  const line = text.split("\n").findIndex((one) => one.includes('"fetched"') && one.includes('"reply"'));
  const changed = text.split("\n").map((one, at) => (at === line ? one.replace('"generation":', '"generation":9') : one)).join("\n");
  writeFileSync(join(files, "changed.jsonl"), changed);
  await page.getByRole("tab", { name: "Replay" }).click();
  await page.locator("input[type=file]").setInputFiles(join(files, "changed.jsonl"));
  await page.locator(".facts .badge.bad").waitFor();
  await page.locator(".headline .soft", { hasText: `#${line} ·` }).waitFor();
  await page.getByText("Differs from what was recorded").waitFor();
});

test.each([
  ["not a trace", "hello", "line 1"],
  ["another version", '{"format":99,"version":"9","boot":0,"config":{}}', "has format 99"],
  ["nothing", "", "empty"],
])("a file that is %s is refused in words", async (_name, content, words) => {
  writeFileSync(join(files, "wrong.jsonl"), content);
  await page.getByRole("tab", { name: "Replay" }).click();
  await page.locator("input[type=file]").setInputFiles(join(files, "wrong.jsonl"));
  await page.getByRole("alert").filter({ hasText: words }).waitFor();
});

test("the server's own last steps are replayed, and are the same", async () => {
  const origin = inject("origin");
  await page.request.post(`${origin}/api/topics`, { data: { name: `from-page-${Date.now()}` } });
  const other = await open(browser, "#trace=/api/debug/trace");
  await other.page.locator(".facts .badge.good").waitFor();
  await close(other);
});

test("a trace on another host is not asked for", async () => {
  const other = await open(browser, "#trace=https://example.com/trace");
  await other.page.getByRole("alert").filter({ hasText: "another server" }).waitFor();
  await close(other);
});

test("the page is sent with its policy, and its parts for ever", async () => {
  const index = await page.request.get(`${inject("origin")}/`);
  expect(index.headers()["content-security-policy"]).toContain("default-src 'none'");
  const script = /src="\.\/(assets\/[^"]+\.js)"/.exec(await index.text())?.[1];
  const asset = await page.request.get(`${inject("origin")}/${script}`, { headers: { "accept-encoding": "gzip" } });
  expect(asset.headers()).toMatchObject({ "content-encoding": "gzip", "cache-control": "public, max-age=31536000, immutable" });
});

test("help lists keys and signs, and a theme that is chosen stays", async () => {
  await page.keyboard.press("?");
  await page.getByRole("dialog").getByText("to the cause, to the effect").waitFor();
  await page.keyboard.press("Escape");
  const button = page.getByRole("button", { name: "Use the dark theme" });
  await button.click();
  await page.reload();
  await page.getByRole("button", { name: "Use the light theme" }).waitFor();
});
