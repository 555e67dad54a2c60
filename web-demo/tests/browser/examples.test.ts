/** The two shortest programs that embed the package do what they say: one in Node, one in a page. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { close, launch, open } from "./page";

const root = fileURLToPath(new URL("../../../runtime-wasm", import.meta.url));
const TYPES: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };

let browser: Browser;
let files: Server;
beforeAll(async () => {
  browser = await launch();
  files = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    const type = TYPES[extname(path)];
    if (!type) return void response.writeHead(204).end();
    response.writeHead(200, { "content-type": type }).end(readFileSync(join(root, path)));
  });
  await new Promise<void>((ready) => files.listen(0, "127.0.0.1", ready));
});
afterAll(async () => {
  await browser.close();
  files.close();
});

test("in Node: who expired, why, and the state after it", () => {
  const said = execFileSync(process.execPath, [join(root, "examples/node.mjs")], { encoding: "utf8" });
  expect(said).toContain("c2's session expired");
  expect(said).toContain("'c2 is killed'");
  expect(said).toContain("name: 'billing'");
  expect(said).toMatch(/digest [0-9a-f]{16}\n$/);
});

test("in a page: a record is sent, and who waits for it wakes", async () => {
  expect(readFileSync(join(root, "examples/page.html"), "utf8").trimEnd().split("\n").length).toBeLessThanOrEqual(30);
  const origin = `http://127.0.0.1:${(files.address() as AddressInfo).port}`;
  const watched = await open(browser, "examples/page.html", "light", "desk", origin);
  const { page } = watched;
  await page.locator("#said", { hasText: "c1 polls" }).waitFor();
  await page.getByRole("button", { name: "Send a record" }).click();
  await page.locator("#said", { hasText: "c1 wakes with 1 record" }).waitFor();
  await close(watched);
});
