/** The programs in examples/node and the script, as someone would start them. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

import { Takhin } from "../src/index.ts";
import { Server } from "./server.ts";

let server: Server;
beforeAll(async () => {
  server = await Server.start("--durability", "os", "--auto-create-topics");
});
afterAll(() => server.remove());

function start(program: string, ...rest: string[]): ChildProcess {
  const path = fileURLToPath(new URL(`../../../examples/node/${program}`, import.meta.url));
  return spawn(process.execPath, [path, server.url, ...rest], { stdio: ["pipe", "pipe", "inherit"] });
}

async function lines(child: ChildProcess, until: (text: string) => boolean): Promise<string> {
  let text = "";
  for await (const chunk of child.stdout!) {
    text += String(chunk);
    if (until(text)) break;
  }
  return text;
}

test("lines go in, and a worker works on them and commits as it is stopped", async () => {
  await new Takhin(server.url).admin.createTopic("orders", { partitions: 2 });
  const producing = start("produce.mjs", "orders");
  producing.stdin!.end("a\nb\nc\n");
  expect(await lines(producing, () => false)).toBe("3 records sent\n");

  const worker = start("worker.mjs", "orders", "billing");
  const said = await lines(worker, (text) => ["a", "b", "c"].every((value) => text.includes(`: ${value}\n`)));
  expect(said).toContain("mine now: orders/0 orders/1");
  worker.kill("SIGTERM");
  await once(worker, "exit");
  const group = await new Takhin(server.url).admin.group("billing");
  // Lines without a key may all have gone to one partition: nothing is committed of the other one then.
  expect(group.partitions.every(({ lag }) => lag === 0)).toBe(true);
  expect(group.partitions.reduce((sum, { committed }) => sum + (committed ?? 0), 0)).toBe(3);
});

test("the first lines of the manual work", async () => {
  const manual = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const program = manual.split("```js\n")[1]!.split("```")[0]!;
  const mine = program.replace("http://localhost:8080", server.url).replaceAll('"orders"', '"first"').replace('"billing"', '"first"');
  const cwd = fileURLToPath(new URL("../../../examples/node", import.meta.url));
  const child = spawn(process.execPath, ["--input-type=module", "--eval", mine], {
    cwd,
    stdio: ["ignore", "pipe", "inherit"],
  });
  expect(await lines(child, (text) => text.includes("\n"))).toBe("0 { amount: 9.5 }\n");
  child.kill("SIGTERM");
});

test("curl walks all the way, and leaves nothing behind", async () => {
  const path = fileURLToPath(new URL("../../../examples/curl_walk.sh", import.meta.url));
  const walking = spawn("sh", [path, server.url], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(walking, "exit");
  expect(await lines(walking, () => false)).toMatch(/\nthe walk is done\n$/);
  expect(await ended).toEqual([0, null]);
  const { admin } = new Takhin(server.url);
  expect((await admin.topics()).filter(({ name }) => name.startsWith("walk"))).toEqual([]);
});
