// How many records a second one producer sends, or one consumer polls: URL produce|consume TOPIC RECORDS BYTES
import { Takhin } from "../../clients/js/dist/index.js";

const [url, what, topic, count, bytes] = process.argv.slice(2);
const takhin = new Takhin(url);
const began = performance.now();

if (what === "produce") {
  const producer = takhin.producer({ lingerMs: 5 });
  const value = "x".repeat(Number(bytes));
  let last;
  for (let at = 0; at < Number(count); at++) {
    await producer.room();
    last = producer.send({ topic, value });
    last.catch(() => {});
  }
  await producer.close();
  await last;
} else {
  const consumer = takhin.consumer({ groupId: "throughput", autoOffsetReset: "earliest", autoCommit: false, maxPollBytes: 4 << 20 });
  await consumer.assign([{ topic, partition: 0 }]);
  let left = Number(count);
  while (left > 0) left -= (await consumer.poll({ maxRecords: 5_000 })).length;
  await consumer.close();
}
console.log(Math.round((1_000 * Number(count)) / (performance.now() - began)));
