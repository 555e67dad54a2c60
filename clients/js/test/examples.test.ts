/** The programs in examples/node, as someone would start them. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

import { Takhin } from "../src/index.ts";
import { Server } from "./server.ts";

let server: Server;
beforeAll(async () => {
  server = await Server.start("--durability", "os");
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
  expect(group.partitions.map(({ lag }) => lag)).toEqual([0, 0]);
});
