/** Every state that the page can be seen in, and how one gets there; and a server with something to see. */

import type { Page } from "playwright-core";
import { filter, menu, settled } from "./page";
import { serve, type Server } from "./server";
import { trace } from "./trace";

/** What is shown, the state's name first; each is given a page that has been opened at `hash`. */
export interface State {
  name: string;
  hash?: string;
  server?: "empty";
  /** Whether requests fail in it, which the browser reports. */
  refused?: true;
  show(page: Page): Promise<void>;
}

async function scenario(page: Page, title: string, steps: number): Promise<void> {
  await settled(page);
  await page.getByLabel("Speed").first().selectOption("20");
  await page.locator(".panel:not([hidden]) .toolbar .menu > button").first().click();
  await page.getByRole("menuitem", { name: title, exact: true }).click();
  for (let step = 1; step < steps; step++) {
    await page.locator(".caption-title", { hasText: `${step} of` }).waitFor();
    await page.getByRole("button", { name: "Go on" }).click();
  }
  await page.locator(".caption-title", { hasText: `${steps} of` }).waitFor();
  await settled(page);
}

async function choose(page: Page, words: string): Promise<void> {
  await pane(page, "Events");
  await filter(page, words);
  await page.locator(".panel:not([hidden]) .row .text").first().click();
  await page.locator(".panel:not([hidden]) .said").waitFor({ state: "attached" });
  await filter(page, "");
}

const pane = async (page: Page, name: string) => {
  const tab = page.locator(".panel:not([hidden]) .pane-tabs").getByRole("button", { name, exact: true });
  if (await tab.isVisible()) await tab.click();
};

async function file(page: Page, name: string, content: string): Promise<void> {
  await page.locator("input[type=file]").setInputFiles({ name, mimeType: "application/jsonl", buffer: Buffer.from(content) });
}

const changed = () => trace("crash").replace(/("fetched".*"reply".*?)"generation":/, '$1"generation":9');

export const STATES: State[] = [
  { name: "first", show: async (page) => settled(page) },
  {
    name: "simulate",
    async show(page) {
      await scenario(page, "Session expiry", 4);
      await choose(page, "kind:expired");
      await pane(page, "Picture");
    },
  },
  {
    name: "why",
    async show(page) {
      await scenario(page, "Session expiry", 4);
      await choose(page, "kind:expired");
      await pane(page, "Why");
    },
  },
  {
    name: "world",
    async show(page) {
      await scenario(page, "Two consumers share", 3);
      await pane(page, "World");
    },
  },
  {
    name: "branches",
    async show(page) {
      await scenario(page, "Session expiry", 3);
      await page.keyboard.press("Home");
      for (let at = 0; at < 6; at++) await page.keyboard.press("Shift+ArrowRight");
      await page.locator(".panel:not([hidden]) .where", { hasText: "event 60/" }).waitFor();
      await menu(page, "Fault", "Crash the broker");
      await page.getByRole("button", { name: "Do it" }).click();
      await page.getByText(/Branch B begins here/).first().waitFor();
      await menu(page, "Run until", "a new generation");
      await page.getByLabel("Compare with").selectOption({ label: "with branch A" });
      await page.locator(".compare-bar").waitFor();
    },
  },
  {
    name: "broken",
    async show(page) {
      await scenario(page, "Two consumers share", 3);
      await page.getByRole("button", { name: "Try things" }).click();
      await menu(page, "Fault", "Crash, and the disk lied");
      await page.getByRole("button", { name: "Do it" }).click();
      await page.locator(".panel:not([hidden]) .play").click();
      await page.locator(".notice", { hasText: "A promise is broken" }).waitFor();
      await settled(page);
    },
  },
  {
    name: "form",
    async show(page) {
      await scenario(page, "Two consumers share", 2);
      await page.getByRole("button", { name: "+ consumer" }).click();
    },
  },
  { name: "help", show: async (page) => (await settled(page), page.keyboard.press("?")) },
  {
    name: "empty-world",
    async show(page) {
      await settled(page);
      await page.locator(".panel:not([hidden]) .toolbar .menu > button").first().click();
      await page.getByRole("menuitem", { name: "An empty world" }).click();
      await page.getByText("Nothing is there yet.").waitFor({ state: "attached" });
    },
  },
  { name: "link-damaged", hash: "#v1.AAAA", show: (page) => page.getByText(/This link can't be opened/).first().waitFor() },
  { name: "replay-empty", hash: "#replay", show: (page) => page.getByRole("heading", { name: "Open a trace" }).waitFor() },
  {
    name: "replay",
    hash: "#replay",
    async show(page) {
      await file(page, "orders.jsonl", trace("session-expiry"));
      await page.locator(".facts .badge").waitFor();
      await page.getByRole("button", { name: "Close the message" }).click();
      await choose(page, "kind:expired");
      await pane(page, "Picture");
    },
  },
  {
    name: "replay-differs",
    hash: "#replay",
    async show(page) {
      await file(page, "changed.jsonl", changed());
      await page.locator(".facts .badge.bad").waitFor();
      await page.locator(".panel:not([hidden]) .said").waitFor({ state: "attached" });
    },
  },
  {
    name: "replay-unreadable",
    hash: "#replay",
    async show(page) {
      await file(page, "notes.txt", "hello");
      await page.getByRole("alert").filter({ hasText: "can't be opened" }).waitFor();
    },
  },
  { name: "live-empty", hash: "#live", server: "empty", show: (page) => page.getByText("No topic yet", { exact: true }).waitFor() },
  {
    name: "live-away",
    hash: "#replay",
    refused: true,
    async show(page) {
      await page.context().setOffline(true);
      await page.getByRole("tab", { name: "Live" }).click();
      await page.getByText("No server answers").waitFor();
    },
  },
  {
    name: "live-key",
    hash: "#replay",
    refused: true,
    async show(page) {
      await page.route("**/api/**", (route) => route.fulfill({ status: 401, json: { error: "a key is needed", code: "unauthorized", retryable: false, details: {}, request_id: "1" } }));
      await page.getByRole("tab", { name: "Live" }).click();
      await page.getByText("The server wants an API key.").waitFor();
    },
  },
  { name: "live-lists", hash: "#live", show: (page) => page.getByRole("navigation").getByText("billing").waitFor() },
  {
    name: "live",
    hash: "#live=topic/orders",
    async show(page) {
      await page.locator(".lv-message").first().waitFor();
      await page.locator(".lv-message").nth(2).click();
    },
  },
  {
    name: "live-tail",
    hash: "#live=topic/payments",
    async show(page) {
      await page.getByRole("button", { name: "Live tail" }).click();
      await page.getByText("Produce a record").click();
      await page.getByLabel("Value", { exact: true }).fill("paid");
      await page.getByRole("button", { name: "Send" }).click();
      await page.locator(".lv-message", { hasText: "paid" }).last().waitFor();
    },
  },
  {
    name: "live-reset",
    hash: "#live=group/audit",
    async show(page) {
      await page.getByRole("button", { name: "Reset offsets" }).click();
      await page.getByRole("button", { name: "Show what would change" }).click();
      await page.getByRole("region", { name: "What would change" }).waitFor();
    },
  },
  {
    name: "live-group",
    hash: "#live=group/billing",
    async show(page) {
      await page.locator(".lv-spark path[d]").first().waitFor({ state: "attached" });
      await page.getByRole("region", { name: "Rebalances" }).getByRole("listitem").first().waitFor();
    },
  },
];

/** One server with topics, records and a group, and one with nothing. */
export interface Servers {
  full: Server;
  empty: Server;
}

export async function servers(): Promise<Servers> {
  const [full, empty] = [await serve(), await serve()];
  await full.api("POST", "topics", { name: "orders", partitions: 3 });
  await full.api("POST", "topics", { name: "payments", partitions: 1 });
  const record = (nth: number) => ({ key: `order-${nth % 7}`, value: { id: 1000 + nth, item: ["tea", "cups", "a kettle"][nth % 3], amount: 4.5 + nth }, headers: { source: "shop" } });
  await full.api("POST", "topics/orders/produce", { records: Array.from({ length: 240 }, (_, nth) => record(nth)) });
  const { consumer_id: gone } = await full.api<{ consumer_id: string }>("POST", "consumers/subscribe", { group_id: "audit", topics: ["orders"] });
  await full.api("POST", `consumers/${gone}/commit`, { offsets: { orders: { "0": 12 } } });
  await full.api("DELETE", `consumers/${gone}`);
  for (const client_id of ["worker-1", "worker-2"]) {
    const { consumer_id } = await full.api<{ consumer_id: string }>("POST", "consumers/subscribe", { group_id: "billing", topics: ["orders"], auto_offset_reset: "earliest", session_timeout_ms: 1_800_000, client_id });
    await full.api("POST", `consumers/${consumer_id}/consume`, { max_records: 40, timeout_ms: 0 });
    await full.api("POST", `consumers/${consumer_id}/commit`, {});
  }
  return { full, empty };
}
