// The broker in Node: two consumers share a topic, one dies, and the group goes on.
// After `cargo xtask web`: node runtime-wasm/examples/node.mjs
import { readFile } from "node:fs/promises";
import { Run, initSync } from "../pkg/takhin_wasm.js";

initSync({ module: await readFile(new URL("../pkg/takhin_wasm_bg.wasm", import.meta.url)) });

const run = new Run(
  42n,
  JSON.stringify([
    { t: 0, do: { topic: { name: "orders", partitions: 4 } } },
    { t: 100, do: { producer: { name: "p1", topic: "orders", every_ms: 400 } } },
    { t: 200, do: { consumer: { name: "c1", group: "billing", topics: ["orders"], session_ms: 3000 } } },
    { t: 900, do: { consumer: { name: "c2", group: "billing", topics: ["orders"], session_ms: 3000 } } },
    { t: 3000, do: { kill: { client: "c2" } } },
  ]),
);
const row = run.runUntil('"expired"', 10_000, 100_000);
console.log(run.texts(row, row + 1)[0]);
console.log("led there:", [...run.causes(row)].map((cause) => run.texts(cause, cause + 1)[0]));
run.seek(row + 1);
console.log(JSON.parse(run.state()).groups[0]);
console.log("digest", run.digest());
