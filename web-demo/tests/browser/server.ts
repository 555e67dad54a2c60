/** Starts the real server on a port of its own, for as long as the tests of the page run. */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    origin: string;
  }
}

export default async function setup(project: TestProject): Promise<() => void> {
  const program = process.env["TAKHIN_BIN"];
  if (!program) throw new Error("TAKHIN_BIN says which server to test with, as in TAKHIN_BIN=target/release/takhin");
  const directory = mkdtempSync(join(tmpdir(), "takhin-page-"));
  const server = spawn(program, ["serve", "--listen", "127.0.0.1:0", "--data-dir", directory, "--durability", "os"]);
  const origin = await new Promise<string>((resolve, reject) => {
    let said = "";
    server.stdout.on("data", (more: Buffer) => {
      said += more.toString();
      const found = /page\s+(http:\/\/[\d.]+:\d+)/.exec(said)?.[1];
      if (found) resolve(found);
    });
    server.on("exit", (code) => reject(new Error(`the server ended with ${code}: ${said}`)));
  });
  project.provide("origin", origin);
  return () => {
    server.kill("SIGTERM");
    rmSync(directory, { recursive: true, force: true });
  };
}
