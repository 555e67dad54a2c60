/** The page in examples/browser, in a real browser: two tabs hear each other, also over a restart of the server. */

import { createReadStream } from "node:fs";
import { createServer, type Server as HttpServer } from "node:http";
import { fileURLToPath } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { Takhin } from "../src/index.ts";
import { Server } from "./server.ts";

const TYPES: Record<string, string> = { html: "text/html", js: "text/javascript" };

let files: HttpServer;
let origin: string;
let server: Server;
let browser: Browser;
const wrong: string[] = [];

beforeAll(async () => {
  files = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname.replace(/\/$/, "/index.html");
    const from = /^\/(examples\/browser|clients\/js\/dist)\/[\w.]+$/.test(path) ? path : "/none";
    const file = createReadStream(fileURLToPath(new URL(`../../..${from}`, import.meta.url)));
    file.once("open", () => response.writeHead(200, { "content-type": TYPES[path.split(".").at(-1)!] ?? "text/plain" }));
    file.once("error", () => response.writeHead(404).end());
    file.pipe(response);
  });
  await new Promise<void>((resolve) => files.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(files.address() as { port: number }).port}`;
  server = await Server.start("--durability", "os", "--cors-origin", origin);
  const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
});

afterAll(async () => {
  await browser?.close();
  files?.close();
  await server?.remove();
});

async function tab(topic: string): Promise<Page> {
  const page = await browser.newPage();
  page.on("pageerror", (error) => wrong.push(error.message));
  await page.goto(`${origin}/examples/browser/?server=${server.url}&topic=${topic}`);
  await page.getByRole("status").filter({ hasText: `listening to ${topic}` }).waitFor();
  return page;
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message").fill(text);
  await page.getByRole("button").click();
}

/** What a tab has heard, the latest first. */
async function heard(page: Page, count: number): Promise<string[]> {
  await page.locator("li").nth(count - 1).waitFor();
  return (await page.locator("li").allTextContents()).map((text) => text.split(" ")[0]!);
}

test("two tabs hear each other, and go on over a server that is killed", async () => {
  await new Takhin(server.url).admin.createTopic("chat");
  const [one, other] = [await tab("chat"), await tab("chat")];
  await say(one, "hello");
  expect(await heard(other, 1)).toEqual(["hello"]);
  await server.stop("SIGKILL");
  await say(other, "again");
  await server.start();
  for (const page of [one, other]) expect(await heard(page, 2)).toEqual(["again", "hello"]);
  expect(await heard(await tab("chat"), 2)).toEqual(["again", "hello"]);
  expect(wrong).toEqual([]);
});
