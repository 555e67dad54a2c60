/** The console, as one uses it, with the real server behind it. */

import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { close, expectFailedRequests, launch, open, type Watched } from "./page";
import { serve, type Server } from "./server";

let browser: Browser;
/** Each test has a server of its own, with nothing on it. */
let server: Server;
let watched: Watched;
let page: Page;

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
beforeEach(async () => {
  server = await serve();
});
afterEach(async () => {
  await close(watched);
  await server.stop();
});

async function look(hash = "#live"): Promise<void> {
  watched = await open(browser, hash, "light", "desk", server.origin);
  page = watched.page;
}

const orders = () => server.api("POST", "topics", { name: "orders", partitions: 3 });
const subscribe = (group: string, client: string) =>
  server.api<{ consumer_id: string }>("POST", "consumers/subscribe", { group_id: group, topics: ["orders"], auto_offset_reset: "earliest", client_id: client });
const produce = (...records: unknown[]) => server.api("POST", "topics/orders/produce", { records });
/** 250 records in partition 1, a second apart, and one of bytes. */
const fill = () =>
  produce(...Array.from({ length: 250 }, (_, nth) => ({ partition: 1, key: `k${nth}`, value: `value ${nth}`, timestamp: 1_700_000_000_000 + nth * 1000 })), { partition: 1, key: "bytes", value: "/wAB", value_encoding: "base64" });
const choose = (name: string) => page.getByRole("navigation").getByRole("button", { name: new RegExp(`^${name}`) }).click();
const region = (name: string) => page.getByRole("region", { name, exact: true });

test("an empty server shows how a topic is made, and makes one", async () => {
  await look();
  await page.getByText("No topic yet", { exact: true }).waitFor();
  expect(await page.locator(".live-empty pre").textContent()).toBe(`curl ${server.origin}/api/topics -d '{"name": "orders", "partitions": 3}'`);
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
  expectFailedRequests(watched);
  await page.getByRole("button", { name: "Cancel" }).click();
});

test("a record that is produced by hand arrives in the live tail, with all that is in it", async () => {
  await orders();
  await look("#live=topic/orders");
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
  await orders();
  await fill();
  await look("#live=topic/orders");
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
  await orders();
  await fill();
  await look();
  const one = await subscribe("billing", "worker-1");
  await page.getByRole("navigation").getByText("1 member").waitFor();
  await choose("billing");
  await page.locator(".lv-figure", { hasText: /^251$/ }).waitFor();
  await region("Rebalances").getByText(/Last: worker-1 joined/).waitFor();
  const two = await subscribe("billing", "worker-2");
  await region("Rebalances").getByRole("listitem").filter({ hasText: "worker-2 joined" }).waitFor();
  await region("Members").locator("tbody tr").nth(1).waitFor();
  await server.api("POST", `consumers/${one.consumer_id}/commit`, {});
  await page.getByRole("button", { name: "Reset offsets" }).click();
  await page.getByText("2 consumers are in the group.", { exact: false }).waitFor();
  await page.getByRole("button", { name: "Cancel" }).click();
  await server.api("DELETE", `consumers/${two.consumer_id}`);
  await region("Rebalances").getByRole("listitem").filter({ hasText: "worker-2 said goodbye" }).waitFor();
  await server.api("POST", `consumers/${one.consumer_id}/commit`, { offsets: { orders: { "1": 7 } } });
  await server.api("DELETE", `consumers/${one.consumer_id}`);
  await page.getByText("Nobody is in it.", { exact: false }).waitFor();
});

test("offsets are set after a look at what would change", async () => {
  await orders();
  await fill();
  const { consumer_id } = await subscribe("billing", "worker-1");
  await server.api("POST", `consumers/${consumer_id}/commit`, { offsets: { orders: { "1": 7 } } });
  await server.api("DELETE", `consumers/${consumer_id}`);
  await look("#live=group/billing");
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
  await orders();
  for (let nth = 0; nth < 30; nth++) await produce({ value: `record ${nth}` });
  await look();
  await page.getByLabel("How many steps to replay").fill("25");
  await page.getByRole("button", { name: "Replay the last 25 steps here" }).click();
  await page.getByText("✓ the same").waitFor();
  expect(await page.getByRole("tab", { name: "Replay" }).getAttribute("aria-selected")).toBe("true");
});

test("a server that is away is asked until it is back", async () => {
  await orders();
  await look();
  await page.getByText("ok", { exact: true }).waitFor();
  await choose("orders");
  await page.context().setOffline(true);
  await page.getByText("The server is away. What you see", { exact: false }).waitFor();
  await page.getByRole("heading", { name: "orders" }).waitFor();
  await page.context().setOffline(false);
  await page.getByText("ok", { exact: true }).waitFor();
  await page.getByText("The server is away. What you see", { exact: false }).waitFor({ state: "hidden" });
  expectFailedRequests(watched);
});

test("a server that wants a key gets it, and the key stays in this tab", async () => {
  await orders();
  await look("#replay");
  await page.route("**/api/topics", async (route) => {
    if (route.request().headers()["authorization"] === "Bearer takhin_good") return route.continue();
    return route.fulfill({ status: 401, json: { error: "a key is needed", code: "unauthorized", retryable: false, details: {}, request_id: "1" } });
  });
  await page.getByRole("tab", { name: "Live" }).click();
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
  expectFailedRequests(watched);
});

test("nothing is asked while another tab is shown, and nothing more than once a second in view", async () => {
  await orders();
  await fill();
  await look("#replay");
  await page.clock.install();
  const asked: string[] = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  /** Lets the page's time go on, and hears of all that it asked meanwhile: what is asked last is heard of last. */
  const pass = async (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      await page.clock.runFor(1000);
      await page.evaluate(async () => void (await (await fetch("./icon.svg")).text()));
    }
  };
  await page.getByRole("tab", { name: "Live" }).click();
  await choose("orders");
  await page.locator(".lv-message").first().waitFor();
  asked.length = 0;
  await pass(8);
  const times = (path: string) => asked.filter((one) => one === path).length;
  expect(times("/api/topics/orders")).toBeGreaterThan(2);
  for (const path of new Set(asked.filter((one) => one.startsWith("/api/")))) expect(times(path), path).toBeLessThanOrEqual(9);
  await page.getByRole("tab", { name: "Simulate" }).click();
  await pass(2);
  asked.length = 0;
  await pass(8);
  expect(asked.filter((path) => path.startsWith("/api/"))).toEqual([]);
});

test("ten thousand partitions and five hundred consumers stay usable", async () => {
  const partitions = 10_000;
  const members = Array.from({ length: 500 }, (_, nth) => ({
    consumer_id: `00000000-0000-4000-8000-${String(nth).padStart(12, "0")}`,
    client_id: `worker-${nth}`,
    assignment: { orders: Array.from({ length: 20 }, (_, part) => nth * 20 + part) },
    lag: { orders: { [nth * 20]: 5 } },
    session_timeout_ms: 30_000,
    auto_commit: true,
    auto_commit_interval_ms: 5000,
    away: false,
  }));
  await server.api("POST", "topics", { name: "orders", partitions: 1 });
  await subscribe("billing", "worker-1");
  const { topics } = await server.api<{ topics: object[] }>("GET", "topics");
  const group = await server.api<object>("GET", "consumer-groups/billing");
  const topic = { ...topics[0], partitions, offsets: Array.from({ length: partitions }, (_, partition) => ({ partition, start: 0, end: partition })) };
  const of = (partition: number) => ({ topic: "orders", partition, owner: members[Math.floor(partition / 20)]?.consumer_id, committed: 0, end: partition, lag: partition, lag_ms: 1000 });
  await look("#replay");
  await page.route("**/api/topics/orders/messages?**", (route) => route.fulfill({ json: [], headers: { "x-next-offset": "9999" } }));
  await page.route("**/api/topics/orders", (route) => route.fulfill({ json: topic }));
  await page.route("**/api/topics", (route) => route.fulfill({ json: { topics: [topic] } }));
  await page.route("**/api/consumer-groups/billing", (route) => route.fulfill({ json: { ...group, members, partitions: Array.from({ length: partitions }, (_, partition) => of(partition)) } }));
  await page.getByRole("tab", { name: "Live" }).click();
  await choose("orders");
  const rows = region("Partitions").locator("tbody tr");
  await region("Partitions").getByText("1 to 100 of 10,000").waitFor();
  expect(await rows.count()).toBe(100);
  await page.getByRole("button", { name: "Next partitions" }).click();
  await region("Partitions").getByText("101 to 200 of 10,000").waitFor();
  expect(await rows.count()).toBe(100);
  await choose("billing");
  await region("Members").getByText("1 to 100 of 500").waitFor();
  // Who is behind most is seen first.
  await region("Partitions").locator("tbody th", { hasText: /^orders\/9999$/ }).waitFor();
  await page.getByLabel("the largest lag first").uncheck();
  await region("Partitions").locator("tbody th", { hasText: /^orders\/0$/ }).waitFor();
  expect(await page.locator(".lv tr").count()).toBeLessThan(250);
});
