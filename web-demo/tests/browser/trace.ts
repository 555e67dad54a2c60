/** The core in Node: the package as it is published. */

import { readFileSync } from "node:fs";
import { initSync, Run } from "../../../runtime-wasm/pkg/takhin_wasm.js";

let ready = false;

function start(): void {
  if (!ready) initSync({ module: readFileSync(new URL("../../../runtime-wasm/pkg/takhin_wasm_bg.wasm", import.meta.url)) });
  ready = true;
}

/** A scenario's run, to its last step. */
export function run(scenario: string): Run {
  start();
  const file = readFileSync(new URL(`../../scenarios/${scenario}.json`, import.meta.url), "utf8");
  const { seed, inputs, steps } = JSON.parse(file) as { seed: string; inputs: unknown[]; steps: { until: number }[] };
  const made = new Run(BigInt(seed), JSON.stringify(inputs));
  made.advance(steps.at(-1)?.until ?? 0, 100_000);
  return made;
}

export function trace(scenario: string): string {
  return run(scenario).trace();
}

/** A run of some length: ten consumers in two groups, and five producers. */
export function long(rows: number): Run {
  start();
  const inputs: unknown[] = [{ t: 0, do: { topic: { name: "orders", partitions: 8 } } }];
  for (let at = 0; at < 5; at++) inputs.push({ t: 50 + at, do: { producer: { name: `p${at}`, topic: "orders", every_ms: 40 + at } } });
  for (let at = 0; at < 10; at++) inputs.push({ t: 100 + at, do: { consumer: { name: `c${at}`, group: at % 2 ? "one" : "two", topics: ["orders"] } } });
  const made = new Run(7n, JSON.stringify(inputs));
  while (made.rows < rows) if (made.advance(made.now + 60_000, rows - made.rows) === 0) throw new Error("the run does not go on");
  return made;
}
