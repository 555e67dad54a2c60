/**
 * What was received and what became of it: records that wait to be handed out, and for each partition how far the
 * caller has got. No input or output happens here.
 *
 *     received ........................ fetched (where to go on if the server has forgotten)
 *     handed out ............ handed   (what an explicit commit commits)
 *     worked on ........ finished      (what auto-commit commits: all but what the caller has now)
 */

import { Message, type WireRecord } from "./message.ts";
import { PartitionMap, partitionKey, type TopicPartition, type TopicPartitionOffset } from "./partitions.ts";

export class Delivery {
  #waiting: Message[] = [];
  /** Handed out last, and as far as this side knows still being worked on. */
  #open: Message[] = [];
  readonly #fetched = new PartitionMap<number>();
  readonly #handed = new PartitionMap<number>();
  readonly #finished = new PartitionMap<number>();
  readonly #committed = new PartitionMap<number>();
  readonly #paused = new PartitionMap<true>();

  receive(records: readonly WireRecord[]): void {
    for (const record of records) {
      const message = new Message(record, record.topic ?? "");
      this.#waiting.push(message);
      this.#fetched.set(message, message.offset + 1);
    }
  }

  /** Up to `count` records of partitions that are not paused. What was handed out before is worked on. */
  take(count: number): Message[] {
    this.finish();
    const taken: Message[] = [];
    const left: Message[] = [];
    for (const message of this.#waiting) {
      (taken.length < count && !this.#paused.has(message) ? taken : left).push(message);
    }
    this.#waiting = left;
    for (const message of taken) this.#handed.set(message, message.offset + 1);
    this.#open = taken;
    return taken;
  }

  /** The next record of [[take]], for a loop. */
  takeOne(): Message | undefined {
    this.finish();
    const at = this.#paused.size === 0 ? 0 : this.#waiting.findIndex((message) => !this.#paused.has(message));
    const message = this.#waiting[at];
    if (!message) return undefined;
    if (at === 0) this.#waiting.shift();
    else this.#waiting.splice(at, 1);
    this.#handed.set(message, message.offset + 1);
    this.#open = [message];
    return message;
  }

  /** What was handed out is worked on. */
  finish(): void {
    for (const message of this.#open) this.#finished.set(message, message.offset + 1);
    this.#open = [];
  }

  /** What an explicit commit commits. */
  handed(): TopicPartitionOffset[] {
    return this.#beyondCommitted(this.#handed);
  }

  /** What auto-commit commits. */
  finished(): TopicPartitionOffset[] {
    return this.#beyondCommitted(this.#finished);
  }

  #beyondCommitted(offsets: PartitionMap<number>): TopicPartitionOffset[] {
    const out: TopicPartitionOffset[] = [];
    for (const [of, offset] of offsets) {
      if (offset !== this.#committed.get(of)) out.push({ ...of, offset });
    }
    return out;
  }

  /** The offsets are committed. What they cover of the records that the caller has now is worked on. */
  committed(offsets: Iterable<TopicPartitionOffset>): void {
    for (const of of offsets) {
      const key = partitionKey(of);
      this.#open = this.#open.filter((message) => partitionKey(message) !== key || message.offset >= of.offset);
      this.#committed.set(of, of.offset);
      if ((this.#finished.get(of) ?? of.offset) <= of.offset) this.#finished.set(of, of.offset);
    }
  }

  /** The next record of the partition to be handed out, as far as this side knows. */
  position(of: TopicPartition): number | undefined {
    const key = partitionKey(of);
    return this.#waiting.find((message) => partitionKey(message) === key)?.offset ?? this.#fetched.get(of);
  }

  /** Where each partition goes on at the server, of those that something was received of. */
  fetched(): TopicPartitionOffset[] {
    return Array.from(this.#fetched, ([of, offset]) => ({ ...of, offset }));
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const of of partitions) this.#paused.set(of, true);
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const of of partitions) this.#paused.delete(of);
  }

  paused(): TopicPartition[] {
    return this.#paused.keys();
  }

  /** The partitions begin elsewhere from now on: what waits of them is not wanted, and what was handed out is not committed. */
  move(partitions: readonly TopicPartition[]): void {
    const gone = new Set(partitions.map(partitionKey));
    this.#waiting = this.#waiting.filter((message) => !gone.has(partitionKey(message)));
    this.#open = this.#open.filter((message) => !gone.has(partitionKey(message)));
    for (const of of partitions) {
      for (const map of [this.#fetched, this.#handed, this.#finished, this.#committed]) map.delete(of);
    }
  }

  /** The partitions are not this consumer's any more. */
  drop(partitions: readonly TopicPartition[]): void {
    this.move(partitions);
    this.resume(partitions);
  }

  /** The consumer was removed, and all that it held with it. */
  clear(): void {
    this.#waiting = [];
    this.#open = [];
    for (const map of [this.#fetched, this.#handed, this.#finished, this.#committed, this.#paused]) map.clear();
  }
}
