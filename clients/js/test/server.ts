/** A server of one's own, which can be stopped, killed and started again; and a way to it that breaks. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server as NetServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const binary = process.env["TAKHIN_BIN"];

export class Server {
  readonly #directory = mkdtempSync(join(tmpdir(), "takhin-js-"));
  readonly #arguments: string[];
  #process: ChildProcess | undefined;
  readonly port: number;

  private constructor(port: number, more: string[]) {
    this.port = port;
    this.#arguments = ["serve", "--listen", `127.0.0.1:${port}`, "--data-dir", this.#directory, "--log", "error", ...more];
  }

  static async start(...more: string[]): Promise<Server> {
    const server = new Server(await freePort(), more);
    await server.start();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    if (!binary) throw new Error("TAKHIN_BIN names the server to test against");
    const child = spawn(binary, this.#arguments, { stdio: ["ignore", "ignore", "inherit"] });
    this.#process = child;
    let gone = false;
    child.once("exit", () => (gone = true));
    for (;;) {
      if (gone) throw new Error("the server ended before it was ready");
      const ready = await fetch(`${this.url}/api/health`).then((response) => response.ok, () => false);
      if (ready) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }

  async remove(): Promise<void> {
    await this.stop("SIGKILL");
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Passes connections on, and cuts some of them after a number of bytes, in either direction, at random from a seed. */
export class BreakingWay {
  readonly #server: NetServer;
  readonly #sockets = new Set<Socket>();
  readonly #random: () => number;
  /** The share of connections that are cut. */
  share = 1;
  /** At most after so many bytes. */
  withinBytes = 20_000;
  cuts = 0;
  port = 0;

  constructor(to: number, seed: number) {
    this.#random = mulberry32(seed);
    this.#server = createServer((client) => this.#pass(client, to));
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.port = (this.#server.address() as { port: number }).port;
    return this;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #pass(client: Socket, to: number): void {
    const server = connect(to, "127.0.0.1");
    const both = [client, server] as const;
    let left = this.#random() < this.share ? Math.floor(this.#random() * this.withinBytes) : Infinity;
    for (const [from, into] of [both, [server, client] as const]) {
      this.#sockets.add(from);
      from.on("data", (bytes) => {
        into.write(bytes.subarray(0, Math.min(left, bytes.length)));
        left -= bytes.length;
        if (left > 0 || from.destroyed) return;
        this.cuts++;
        client.resetAndDestroy();
        server.resetAndDestroy();
      });
      from.on("error", () => into.destroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        into.destroy();
      });
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
