/** Server-sent events as they come out of a response: batches, news of the assignment, and the error that ends them. */

import { ApiError, ConnectionError, type ErrorBody } from "./errors.ts";
import type { Batch } from "./membership.ts";
import type { PartitionLists } from "./partitions.ts";

export type StreamEvent =
  | { kind: "batch"; batch: Batch }
  | { kind: "rebalance"; news: { assigned: PartitionLists; revoked: PartitionLists } }
  | { kind: "error"; error: ApiError };

/** The events of one response. Ends with a ConnectionError, since the server ends a stream only by an error of its own. */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamEvent, void, void> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw new ConnectionError("the stream was cut off", { cause: error });
      });
      if (done) throw new ConnectionError("the stream ended");
      text += value;
      const whole = text.lastIndexOf("\n\n");
      if (whole < 0) continue;
      const blocks = text.slice(0, whole).split("\n\n");
      text = text.slice(whole + 2);
      for (const block of blocks) {
        const event = parsed(block);
        if (event) yield event;
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** One event; undefined for comments and settings of the connection. */
function parsed(block: string): StreamEvent | undefined {
  let name = "message";
  let data: string | undefined;
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("data: ")) data = data === undefined ? line.slice(6) : `${data}\n${line.slice(6)}`;
  }
  if (data === undefined) return undefined;
  const body: unknown = JSON.parse(data);
  if (name === "message") return { kind: "batch", batch: body as Batch };
  if (name === "rebalance") return { kind: "rebalance", news: body as { assigned: PartitionLists; revoked: PartitionLists } };
  return { kind: "error", error: new ApiError(200, body as ErrorBody) };
}
