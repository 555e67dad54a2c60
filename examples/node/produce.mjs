// Sends each line of the standard input as a record.
//
//   seq 10 | node examples/node/produce.mjs http://localhost:8080 orders
import { createInterface } from "node:readline";
import { Takhin } from "takhin";

const [url = "http://localhost:8080", topic = "orders"] = process.argv.slice(2);
const producer = new Takhin(url).producer();
let sent = 0;
let refused = 0;

for await (const line of createInterface({ input: process.stdin })) {
  await producer.room();
  producer.send({ topic, value: line }).then(
    () => sent++,
    (error) => {
      refused++;
      console.error(error.message);
    },
  );
}
await producer.close();
console.log(`${sent} records sent`);
process.exitCode = refused > 0 ? 1 : 0;
