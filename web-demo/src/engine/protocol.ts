/** What the page and its worker say to one another, and the shapes of what the wasm gives as JSON. */

export const NONE = 0xffffffff;

export interface Lane {
  kind: "broker" | "producer" | "partition" | "consumer" | "group";
  name: string;
  of: string;
  letter: string | null;
}

export interface Share {
  name: string;
  letter: string | null;
  partitions: string[];
  moved: string[];
  /** How many more there are than are named. */
  more: number;
}

/** One generation of a group. */
export interface Band {
  lane: number;
  row: number;
  t: number;
  generation: number;
  reason: string;
  members: Share[];
}

export interface Divergence {
  row: number;
  recorded: unknown;
  actual: unknown;
}

export interface About {
  recorded: boolean;
  seed: string | null;
  version: string;
  rows: number;
  now: number;
  digest: string;
  expected: string | null;
  divergence: Divergence | null;
  violations: [row: number, text: string][];
  full: boolean;
}

export interface Held {
  name: string;
  position: number | null;
  committed: number | null;
  end: number;
  lag: number;
  revoking: boolean;
}

export interface Member {
  name: string;
  letter: string | null;
  away: boolean;
  ends_at: number | null;
  poll: { request: string; parked: boolean; deadline: number } | null;
  partitions: Held[];
}

export interface ClientState {
  name: string;
  role: "producer" | "consumer";
  life: "running" | "frozen" | "dead" | "gone";
  until: number | null;
  waiting: boolean;
  processing: number;
  every_ms: number | null;
  process_ms: number | null;
}

/** The state at the cursor. */
export interface State {
  now: number;
  down: boolean;
  storage: string | null;
  lag: number;
  topics: { name: string; partitions: [start: number, end: number][] }[];
  groups: { name: string; generation: number; lag: number; lag_ms: number; members: Member[] }[];
  clients: ClientState[];
}

export interface Change {
  path: string;
  before?: unknown;
  after?: unknown;
}

/** All about one row. */
export interface Inspection {
  row: number;
  t: number;
  kind: string;
  text: string;
  causes: number[];
  effects: number[];
  event: unknown;
  commands: unknown;
  recorded: unknown;
  changes: Change[];
  violation: string | null;
}

/** What can be done to a simulated world; see `runtime-wasm/src/input.rs`. */
export type Act = "fail_sync" | { [name: string]: unknown };
export interface Input {
  t: number;
  do: Act;
}

export type Stop = "expired" | "rebalanced" | "violation" | "woke" | { lag_above: number } | { matches: string };

/** What came to a run since the page last asked. */
export interface Delta {
  rows: Uint32Array;
  marks: Uint32Array;
  spans: Uint32Array;
  /** The span from which `spans` goes on: earlier ones have not changed. */
  spansFrom: number;
  arrows: Uint32Array;
  bands: Band[];
  lanes: Lane[];
  texts: string[];
  about: About;
}

/** What the page asks, and what each answer is. A run goes by a number that the page chooses. */
export interface Calls {
  create(run: number, seed: string, inputs: Input[]): Delta;
  load(run: number, trace: string): Delta;
  fork(run: number, from: number, row: number): Delta;
  drop(run: number): null;
  apply(run: number, act: Act): Delta;
  advance(run: number, until: number, most: number): Delta;
  runUntil(run: number, stop: Stop, until: number, most: number): { delta: Delta; row: number | null };
  seek(run: number, row: number): { state: State; replayed: number; bound: number; ms: number };
  inspect(run: number, row: number): Inspection;
  raw(run: number): unknown;
  causes(run: number, row: number): { causes: number[]; effects: number[] };
  find(run: number, filter: string, from: number, most: number): Uint32Array;
  inputs(run: number): Input[];
  trace(run: number): string;
  names(): { kinds: string[]; version: string };
}

export type CallName = keyof Calls;
export type Arguments<K extends CallName> = Parameters<Calls[K]>;
export type Answer<K extends CallName> = ReturnType<Calls[K]>;

export interface Question {
  id: number;
  call: CallName;
  arguments: unknown[];
}

export type Reply =
  | { id: number; ok: unknown }
  /** `panic` says that the module is broken, and has to be made anew. */
  | { id: number; error: string; panic: boolean };
