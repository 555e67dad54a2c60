/** The real server, on a port of its own: one for all tests of the page, and another for whoever needs it empty. */

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

export interface Server {
  origin: string;
  /** Its API; throws what the server says if it refuses. */
  api<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** Ends it, and forgets what it had. */
  stop(): Promise<void>;
}

/** Starts a server that has nothing yet. */
export async function serve(...more: string[]): Promise<Server> {
  const program = process.env["TAKHIN_BIN"];
  if (!program) throw new Error("TAKHIN_BIN says which server to test with, as in TAKHIN_BIN=target/release/takhin");
  const directory = mkdtempSync(join(tmpdir(), "takhin-page-"));
  const server = spawn(program, ["serve", "--listen", "127.0.0.1:0", "--data-dir", directory, "--durability", "os", ...more]);
  const ended = new Promise<void>((resolve) => server.on("exit", () => resolve()));
  const origin = await new Promise<string>((resolve, reject) => {
    let said = "";
    server.stdout.on("data", (more: Buffer) => {
      said += more.toString();
      const found = /page\s+(http:\/\/[\d.]+:\d+)/.exec(said)?.[1];
      if (found) resolve(found);
    });
    server.on("exit", (code) => reject(new Error(`the server ended with ${code}: ${said}`)));
  });
  return {
    origin,
    async api<T>(method: string, path: string, body?: unknown) {
      const response = await fetch(`${origin}/api/${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
      if (!response.ok) throw new Error(await response.text());
      return (await response.json()) as T;
    },
    async stop() {
      server.kill("SIGTERM");
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await serve();
  project.provide("origin", server.origin);
  return () => server.stop();
}
