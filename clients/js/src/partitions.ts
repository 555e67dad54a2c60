/** Partitions as this package names them (a list of topic and partition), and as JSON maps of the server. */

export interface TopicPartition {
  topic: string;
  partition: number;
}

export interface TopicPartitionOffset extends TopicPartition {
  offset: number;
}

/** By topic, and by partition as text. */
export type ByPartition<T> = Record<string, Record<string, T>>;

export type PartitionLists = Record<string, number[]>;

export function partitionKey(of: TopicPartition): string {
  return `${of.topic}/${of.partition}`;
}

/** Values of partitions, in order of insertion. */
export class PartitionMap<T> {
  readonly #entries = new Map<string, [TopicPartition, T]>();

  get size(): number {
    return this.#entries.size;
  }

  get(of: TopicPartition): T | undefined {
    return this.#entries.get(partitionKey(of))?.[1];
  }

  has(of: TopicPartition): boolean {
    return this.#entries.has(partitionKey(of));
  }

  set(of: TopicPartition, value: T): void {
    this.#entries.set(partitionKey(of), [{ topic: of.topic, partition: of.partition }, value]);
  }

  delete(of: TopicPartition): void {
    this.#entries.delete(partitionKey(of));
  }

  clear(): void {
    this.#entries.clear();
  }

  keys(): TopicPartition[] {
    return Array.from(this.#entries.values(), ([of]) => of);
  }

  *[Symbol.iterator](): IterableIterator<[TopicPartition, T]> {
    yield* this.#entries.values();
  }
}

export function listed(lists: PartitionLists | undefined): TopicPartition[] {
  return Object.entries(lists ?? {}).flatMap(([topic, ids]) => ids.map((partition) => ({ topic, partition })));
}

export function lists(partitions: readonly TopicPartition[]): PartitionLists {
  const out: PartitionLists = {};
  for (const { topic, partition } of partitions) (out[topic] ??= []).push(partition);
  return out;
}

export function byPartition<T>(entries: Iterable<readonly [TopicPartition, T]>): ByPartition<T> {
  const out: ByPartition<T> = {};
  for (const [{ topic, partition }, value] of entries) (out[topic] ??= {})[partition] = value;
  return out;
}

export function* entriesOf<T>(map: ByPartition<T> | undefined): Generator<[TopicPartition, T]> {
  for (const [topic, inner] of Object.entries(map ?? {})) {
    for (const [partition, value] of Object.entries(inner)) yield [{ topic, partition: Number(partition) }, value];
  }
}
