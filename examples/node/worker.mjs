// A worker of a group: start as many as you like, they share the partitions.
//
//   node examples/node/worker.mjs http://localhost:8080 orders billing
//
// Ctrl-C ends it; what it has worked on is committed, and the others take over its partitions at once.
import { Takhin } from "takhin";

const [url = "http://localhost:8080", topic = "orders", groupId = "billing"] = process.argv.slice(2);
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort());

const consumer = new Takhin(url).consumer({
  groupId,
  topics: [topic],
  allowMissing: true,
  autoOffsetReset: "earliest",
  onAssigned: (partitions) => console.log("mine now:", partitions.map(({ topic, partition }) => `${topic}/${partition}`).join(" ")),
  onRevoked: (partitions) => console.log("given up:", partitions.map(({ topic, partition }) => `${topic}/${partition}`).join(" ")),
});

for await (const message of consumer.messages({ signal: stop.signal })) {
  console.log(`${message.topic}/${message.partition} ${message.offset}: ${message.value}`);
}
await consumer.close();
