/** What a consumer holds: its partitions, their lag and records, and who is told when they come and go. */

import { Delivery } from "./delivery.ts";
import type { Batch, Described } from "./membership.ts";
import type { ConsumerOptions } from "./options.ts";
import {
  type ByPartition, entriesOf, listed, type PartitionLists, PartitionMap, partitionKey, type TopicPartition,
  type TopicPartitionOffset,
} from "./partitions.ts";

export class Holdings {
  readonly #told: Pick<ConsumerOptions, "onAssigned" | "onRevoked" | "onLost">;
  readonly delivery = new Delivery();
  /** The last batch that arrived, or that the server knows of; 0 for none. */
  batch = 0;
  #assigned: TopicPartition[] = [];
  /** Where each partition went on after the last batch that named it, or after a seek. */
  readonly #heard = new PartitionMap<number>();
  readonly #lag = new PartitionMap<number | null>();

  constructor(told: Pick<ConsumerOptions, "onAssigned" | "onRevoked" | "onLost">) {
    this.#told = told;
  }

  get assigned(): readonly TopicPartition[] {
    return this.#assigned;
  }

  lag(): (TopicPartition & { lag: number | null })[] {
    return Array.from(this.#lag, ([of, lag]) => ({ ...of, lag }));
  }

  /** Takes in a poll's records; what it says of the assignment is for [[rebalance]]. */
  receive(batch: Batch): void {
    this.batch = batch.batch_id;
    this.delivery.receive(batch.records);
    this.#hear(batch.positions);
    this.#setLag(batch.lag);
  }

  /** The partitions begin elsewhere from now on: at these positions. */
  move(partitions: readonly TopicPartition[], positions: ByPartition<number | null>): void {
    this.delivery.move(partitions);
    for (const of of partitions) this.#heard.delete(of);
    this.#hear(positions);
  }

  /** Follows the news of a poll; `whileHeld` runs before anything is given up. */
  async rebalance(
    news: { assigned: PartitionLists; revoked: PartitionLists },
    whileHeld: () => Promise<void>,
  ): Promise<void> {
    const gone = listed(news.revoked);
    const came = listed(news.assigned);
    if (gone.length > 0) {
      await whileHeld();
      await this.#told.onRevoked?.(gone);
      this.#drop(gone);
    }
    const changed = new Set([...gone, ...came].map(partitionKey));
    this.#assigned = [...this.#assigned.filter((of) => !changed.has(partitionKey(of))), ...came];
    if (came.length > 0) await this.#told.onAssigned?.(came);
  }

  /** Follows an answer that tells the assignment as a whole. What is missing in it is another's already. */
  async adopt(described: Described): Promise<void> {
    const now = listed(described.assignment);
    const kept = new Set(now.map(partitionKey));
    const held = new Set(this.#assigned.map(partitionKey));
    const gone = this.#assigned.filter((of) => !kept.has(partitionKey(of)));
    const came = now.filter((of) => !held.has(partitionKey(of)));
    this.#assigned = now;
    this.#setLag(described.lag);
    this.#drop(gone);
    if (gone.length > 0) await this.#lost(gone);
    if (came.length > 0) await this.#told.onAssigned?.(came);
  }

  /** The server removed the consumer, and all went with it. */
  async lose(): Promise<void> {
    const gone = this.#assigned;
    this.#assigned = [];
    this.batch = 0;
    this.delivery.clear();
    this.#heard.clear();
    this.#lag.clear();
    if (gone.length > 0) await this.#lost(gone);
  }

  /** Where the partitions that are still held go on, as far as records of them arrived. */
  arrived(): TopicPartitionOffset[] {
    const held = new Set(this.#assigned.map(partitionKey));
    return this.delivery.fetched().filter((of) => held.has(partitionKey(of)));
  }

  /** Where the partitions that are still held go on, as far as anything was heard of them since they came. */
  places(): TopicPartitionOffset[] {
    return this.#assigned.flatMap((of) => {
      const offset = this.#heard.get(of);
      return offset === undefined ? [] : [{ ...of, offset }];
    });
  }

  /** The partitions that came, and of which nothing was heard since. */
  unheard(): TopicPartition[] {
    return this.#assigned.filter((of) => !this.#heard.has(of));
  }

  #hear(positions: ByPartition<number | null>): void {
    for (const [of, offset] of entriesOf(positions)) if (offset !== null) this.#heard.set(of, offset);
  }

  #drop(partitions: readonly TopicPartition[]): void {
    this.delivery.drop(partitions);
    for (const of of partitions) this.#heard.delete(of);
  }

  async #lost(gone: TopicPartition[]): Promise<void> {
    await (this.#told.onLost ?? this.#told.onRevoked)?.(gone);
  }

  #setLag(lag: ByPartition<number | null>): void {
    this.#lag.clear();
    for (const [of, records] of entriesOf(lag)) this.#lag.set(of, records);
  }
}
