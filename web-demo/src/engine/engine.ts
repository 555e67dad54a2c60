/** The page's side of the worker: calls as promises, answered in order. */

import type { Answer, Arguments, CallName, Question, Reply } from "./protocol";

/** The wasm module panicked. Its text is kept; the worker is ended, and the next engine starts anew. */
export class Panic extends Error {}

export class Engine {
  /** Started with the first question: a tab that is never opened costs nothing. */
  private worker: Worker | null = null;
  private readonly open = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  private asked = 0;

  private start(): Worker {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "takhin" });
    worker.addEventListener("message", (event: MessageEvent<Reply>) => this.hear(event.data));
    worker.addEventListener("error", (event) => this.fail(new Error(event.message || "the worker could not be started")));
    return worker;
  }

  /** Asks the worker. Rejects with what the wasm says, or with `Panic`. */
  ask<K extends CallName>(call: K, ...given: Arguments<K>): Promise<Answer<K>> {
    const id = ++this.asked;
    const question: Question = { id, call, arguments: given };
    const worker = (this.worker ??= this.start());
    return new Promise((resolve, reject) => {
      this.open.set(id, { resolve: resolve as (value: unknown) => void, reject });
      worker.postMessage(question);
    });
  }

  close(): void {
    this.worker?.terminate();
    this.fail(new Error("the run was closed"));
  }

  private hear(reply: Reply): void {
    const waiting = this.open.get(reply.id);
    this.open.delete(reply.id);
    if ("ok" in reply) waiting?.resolve(reply.ok);
    else if (reply.panic) {
      const panic = new Panic(reply.error);
      waiting?.reject(panic);
      this.worker?.terminate();
      this.fail(panic);
    } else waiting?.reject(new Error(reply.error));
  }

  private fail(error: Error): void {
    const waiting = [...this.open.values()];
    this.open.clear();
    for (const { reject } of waiting) reject(error);
  }
}
