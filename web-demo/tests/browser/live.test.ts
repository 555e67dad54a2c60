/** The console, as one uses it, with the real server behind it. */

import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from "vitest";
import { findings } from "./axe";
import { close, launch, open, SIZES, THEMES, type Watched } from "./page";

let browser: Browser;
let watched: Watched;
let page: Page;

beforeAll(async () => {
  browser = await launch();
  const { topics } = await api<{ topics: { name: string }[] }>("GET", "topics");
  for (const { name } of topics) await api("DELETE", `topics/${name}`);
});
afterAll(() => browser.close());
beforeEach(async () => {
  watched = await open(browser, "#live");
  page = watched.page;
});
afterEach(() => close(watched));

async function api<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`${inject("origin")}/api/${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as T;
}

const subscribe = (group: string, client: string) =>
  api<{ consumer_id: string }>("POST", "consumers/subscribe", { group_id: group, topics: ["orders"], auto_offset_reset: "earliest", client_id: client });
const produce = (...records: unknown[]) => api("POST", "topics/orders/produce", { records });
const choose = (name: string) => page.getByRole("navigation").getByRole("button", { name: new RegExp(`^${name}`) }).click();
const region = (name: string) => page.getByRole("region", { name, exact: true });

/** A browser reports each refused or failed request; where one is meant, nothing else may be reported. */
function expectFailedRequests(): void {
  const reported = watched.wrong.splice(0);
  expect(reported.length).toBeGreaterThan(0);
  expect(reported.filter((text) => !text.includes("Failed to load resource"))).toEqual([]);
}

test("an empty server shows how a topic is made, and makes one", async () => {
  await page.getByText("No topic yet", { exact: true }).waitFor();
  expect(await page.locator(".live-empty pre").textContent()).toBe(`curl ${inject("origin")}/api/topics -d '{"name": "orders", "partitions": 3}'`);
  await page.getByRole("button", { name: "Create a topic" }).click();
  await page.getByLabel("Cleanup").selectOption("both");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("heading", { name: "orders" }).waitFor();
  await region("Settings").getByText("both", { exact: true }).waitFor();
  expect(await region("Partitions").locator("tbody tr").count()).toBe(3);
  await page.getByRole("button", { name: "+ Topic" }).click();
  await page.getByLabel("Name").fill("orders");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("dialog").getByRole("alert").waitFor();
  expectFailedRequests();
  await page.getByRole("button", { name: "Cancel" }).click();
});

test("a record that is produced by hand arrives in the live tail, with all that is in it", async () => {
  await choose("orders");
  await region("Records").getByText(/The partition is empty/).waitFor();
  await page.getByRole("button", { name: "Live tail" }).click();
  await page.getByText("Produce a record").click();
  await page.getByLabel("Key", { exact: true }).fill("order-1");
  await page.getByLabel("Value", { exact: true }).fill('{"id":12345678901234567891,"html":"<b>no</b>"}');
  await page.getByLabel("Headers, one a line").fill("trace: abc\ntrace: def");
  await region("Partitions").waitFor();
  await page.locator(".lv-produce").getByLabel("Partition").selectOption("0");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByText("It has offset 0 in partition 0.").waitFor();
  const row = page.locator(".lv-message", { hasText: "order-1" });
  await row.click();
  expect(await page.locator(".lv-details pre").last().textContent()).toBe('{\n  "id": 12345678901234567891,\n  "html": "<b>no</b>"\n}');
  expect(await page.locator(".lv-facts dd.lv-mono").allTextContents()).toEqual(["trace: abc", "trace: def"]);
  await region("Partitions").locator("tbody tr").first().locator("td", { hasText: /^1$/ }).first().waitFor();
});

test("records are found by offset, time and text, and read page by page", async () => {
  await produce(...Array.from({ length: 250 }, (_, nth) => ({ partition: 1, key: `k${nth}`, value: `value ${nth}`, timestamp: 1_700_000_000_000 + nth * 1000 })), { partition: 1, key: "bytes", value: "/wAB", value_encoding: "base64" });
  await choose("orders");
  await page.getByRole("button", { name: "Read partition 1" }).click();
  await region("Records").getByText("100 records, offsets 151 to 250.", { exact: false }).waitFor();
  await page.locator(".lv-message", { hasText: "3 bytes: ff 00 01" }).click();
  await page.locator(".lv-details pre", { hasText: "0000  ff 00 01" }).waitFor();
  await page.getByRole("button", { name: "Older" }).click();
  await region("Records").getByText("offsets 51 to 150", { exact: false }).waitFor();
  await page.getByLabel("With the text").fill("VALUE 24");
  await page.getByLabel("From").first().selectOption("earliest");
  await page.getByRole("button", { name: "Read", exact: true }).click();
  await region("Records").getByText("11 matches in 251 records", { exact: false }).waitFor();
  await page.getByLabel("With the text").fill("");
  await page.getByLabel("From").first().selectOption("offset");
  await page.getByLabel("Offset", { exact: true }).fill("200");
  await page.getByRole("button", { name: "Read", exact: true }).click();
  await region("Records").getByText("51 records, offsets 200 to 250", { exact: false }).waitFor();
  await page.getByLabel("From").first().selectOption("time");
  await page.getByLabel("Time", { exact: true }).evaluate((input: HTMLInputElement) => {
    const at = new Date(1_700_000_240_000);
    input.value = new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
  });
  await page.getByRole("button", { name: "Read", exact: true }).click();
  await region("Records").getByText("offsets 240 to 250", { exact: false }).waitFor();
});

test("a group tells its members, its lag, and why it was assigned anew", async () => {
  const one = await subscribe("billing", "worker-1");
  await page.getByRole("navigation").getByText("1 member").waitFor();
  await choose("billing");
  await page.locator(".lv-figure", { hasText: /^25[12]$/ }).waitFor();
  await region("Rebalances").getByText(/Last: worker-1 joined/).waitFor();
  const two = await subscribe("billing", "worker-2");
  await region("Rebalances").getByRole("listitem").filter({ hasText: "worker-2 joined" }).waitFor();
  await region("Members").locator("tbody tr").nth(1).waitFor();
  await api("POST", `consumers/${one.consumer_id}/commit`, {});
  await page.getByRole("button", { name: "Reset offsets" }).click();
  await page.getByText("2 consumers are in the group.", { exact: false }).waitFor();
  await page.getByRole("button", { name: "Cancel" }).click();
  await api("DELETE", `consumers/${two.consumer_id}`);
  await region("Rebalances").getByRole("listitem").filter({ hasText: "worker-2 said goodbye" }).waitFor();
  await api("POST", `consumers/${one.consumer_id}/commit`, { offsets: { orders: { "1": 7 } } });
  await api("DELETE", `consumers/${one.consumer_id}`);
  await page.getByText("Nobody is in it.", { exact: false }).waitFor();
});

test("offsets are set after a look at what would change", async () => {
  await choose("billing");
  await page.getByRole("button", { name: "Reset offsets" }).click();
  await page.getByRole("dialog").getByRole("combobox").first().selectOption("by");
  await page.getByLabel("How many, or which").fill("-5");
  await page.getByRole("button", { name: "Show what would change" }).click();
  const change = region("What would change").locator("tbody tr");
  await change.first().waitFor();
  expect(await change.allTextContents()).toEqual(["orders/172-5"]);
  await page.getByRole("button", { name: "Set 1 offset" }).click();
  await region("Partitions of the group").locator("tr", { hasText: "orders/1" }).locator("td", { hasText: /^2$/ }).waitFor();
});

test("the last steps of the server are replayed here, with the same digest", async () => {
  await page.getByLabel("How many steps to replay").fill("25");
  await page.getByRole("button", { name: "Replay the last 25 steps here" }).click();
  await page.getByText("✓ the same").waitFor();
  expect(await page.getByRole("tab", { name: "Replay" }).getAttribute("aria-selected")).toBe("true");
});

test("a server that is away is asked until it is back", async () => {
  await page.getByText("ok", { exact: true }).waitFor();
  await choose("orders");
  await page.context().setOffline(true);
  await page.getByText("The server is away. What you see", { exact: false }).waitFor();
  await page.getByRole("heading", { name: "orders" }).waitFor();
  await page.context().setOffline(false);
  await page.getByText("ok", { exact: true }).waitFor();
  await page.getByText("The server is away. What you see", { exact: false }).waitFor({ state: "hidden" });
  expectFailedRequests();
});

test("a server that wants a key gets it, and the key stays in this tab", async () => {
  await page.route("**/api/topics", async (route) => {
    if (route.request().headers()["authorization"] === "Bearer takhin_good") return route.continue();
    return route.fulfill({ status: 401, json: { error: "a key is needed", code: "unauthorized", retryable: false, details: {}, request_id: "1" } });
  });
  await page.getByText("The server wants an API key.").waitFor();
  await page.getByLabel("API key").fill("takhin_bad");
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByText("The server does not take this key.").waitFor();
  await page.getByLabel("API key").fill("takhin_good");
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByRole("navigation").getByText("orders").waitFor();
  await page.reload();
  await page.getByRole("navigation").getByText("orders").waitFor();
  await page.getByRole("button", { name: "API key" }).click();
  await page.getByRole("button", { name: "Forget it" }).click();
  await page.getByText("The server wants an API key.").waitFor();
  expectFailedRequests();
});

test("nothing is asked while another tab is shown, and nothing more than once a second in view", async () => {
  await choose("orders");
  await page.locator(".lv-message").first().waitFor();
  const asked: string[] = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await page.waitForTimeout(4000);
  const most = Math.max(...[...new Set(asked)].map((one) => asked.filter((path) => path === one).length));
  expect(asked).toContain("/api/topics/orders");
  expect(most).toBeLessThanOrEqual(5);
  await page.getByRole("tab", { name: "Simulate" }).click();
  await page.waitForTimeout(1000);
  asked.length = 0;
  await page.waitForTimeout(3000);
  expect(asked.filter((path) => path.startsWith("/api/"))).toEqual([]);
});

for (const theme of THEMES) {
  for (const size of Object.keys(SIZES) as (keyof typeof SIZES)[]) {
    test(`all of it is accessible and fits: ${size}, ${theme}`, async () => {
      const other = await open(browser, "#live=topic/orders", theme, size);
      const look = async () => {
        expect(await findings(other.page)).toEqual([]);
        expect(await other.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
        const small = await other.page.locator(".panel:not([hidden]) :is(button, input:not([type=checkbox]), select, summary):visible").evaluateAll((all) => all.filter((one) => one.getBoundingClientRect().height < 24).map((one) => one.outerHTML));
        expect(small).toEqual([]);
      };
      await other.page.locator(".lv-message").first().waitFor();
      await other.page.locator(".lv-message").first().click();
      await other.page.getByText("Produce a record").click();
      await look();
      await other.page.goto(`${inject("origin")}/?group#live=group/billing`);
      await other.page.locator(".lv-spark path[d]").first().waitFor({ state: "attached" });
      await look();
      await close(other);
    });
  }
}
