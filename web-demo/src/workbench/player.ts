/**
 * The player: runs and their branches, the cursor, and going on. Everything else shows what it says.
 *
 * The cursor is a moment and the number of rows that have happened by then. Playing moves the moment on, and the worker makes
 * what is not there yet. Whatever is done at a moment before the end is done to a new branch: the past stays as it was.
 */

import { Engine, Panic } from "../engine/engine";
import type { Act, Delta, Input, Inspection, State, Stop } from "../engine/protocol";
import { Timeline } from "../timeline/timeline";

export interface Branch {
  id: number;
  /** A, B, C … */
  letter: string;
  timeline: Timeline;
  /** Where it left another branch. */
  fork: { from: string; row: number } | null;
}

/** What has changed: `rows` that came, the `cursor`, the `state` there, the `selection`, `branches`, whether it is `playing`. */
export type Topic = "rows" | "cursor" | "state" | "selection" | "branches" | "playing" | "failure" | "notice";

export const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 5, 20, 100];

const MOST_ROWS = 20_000;
const STATE_EVERY_MS = 60;
/** How far a run goes on by itself to look for something. */
const AHEAD_MS = 600_000;
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

export class Player {
  branches: Branch[] = [];
  current = 0;
  time = 0;
  row = 0;
  playing = false;
  speed = 1;
  halt = true;
  state: State | null = null;
  selected: number | null = null;
  inspection: Inspection | null = null;
  /** The rows that led to the chosen one, and what it led to. */
  chain: { causes: number[]; effects: number[] } = { causes: [], effects: [] };
  kinds: string[] = [];
  version = "";
  seed = "42";
  failure: { text: string; inputs: Input[] | null } | null = null;
  notice = "";
  noticeStays = false;
  /** Play stops here. */
  stopAt: number | null = null;

  private engine = new Engine();
  private readonly listeners = new Map<Topic, Set<() => void>>();
  private ids = 0;
  private frame = 0;
  private last = 0;
  private pumping = false;
  private stateAsked = 0;
  private seeking: number | null = null;
  private known: Input[] = [];

  on(topics: Topic | Topic[], listener: () => void): void {
    for (const topic of [topics].flat()) {
      const set = this.listeners.get(topic) ?? new Set();
      this.listeners.set(topic, set.add(listener));
    }
  }

  private tell(...topics: Topic[]): void {
    const told = new Set<() => void>();
    for (const topic of topics) for (const listener of this.listeners.get(topic) ?? []) told.add(listener);
    for (const listener of told) listener();
  }

  get branch(): Branch | null {
    return this.branches[this.current] ?? null;
  }

  get timeline(): Timeline | null {
    return this.branch?.timeline ?? null;
  }

  get recorded(): boolean {
    return this.timeline?.about?.recorded ?? false;
  }

  get atEnd(): boolean {
    return this.time >= (this.timeline?.end ?? 0);
  }

  /** Begins a simulated run. */
  async simulate(seed: string, inputs: Input[]): Promise<void> {
    this.seed = seed;
    await this.begin(() => this.engine.ask("create", ++this.ids, seed, inputs));
  }

  /** Opens a trace; rejects with what is wrong with it. */
  async open(trace: string): Promise<void> {
    await this.begin(() => this.engine.ask("load", ++this.ids, trace));
  }

  private async begin(make: () => Promise<Delta>): Promise<void> {
    this.pause();
    if (this.failure) {
      this.engine = new Engine();
      this.failure = null;
      this.kinds = [];
      this.branches = [];
    }
    const delta = await this.guard(make());
    if (this.kinds.length === 0) {
      const names = await this.guard(this.engine.ask("names"));
      [this.kinds, this.version] = [names.kinds, names.version];
    }
    for (const branch of this.branches) void this.engine.ask("drop", branch.id);
    const timeline = new Timeline();
    timeline.apply(delta);
    this.branches = [{ id: this.ids, letter: "A", timeline, fork: null }];
    Object.assign(this, { current: 0, time: 0, row: 0, selected: null, inspection: null, state: null, stopAt: null, notice: "" });
    this.chain = { causes: [], effects: [] };
    this.tell("branches", "rows", "cursor", "selection", "failure", "notice");
    await this.refresh();
  }

  play(): void {
    if (this.playing || !this.branch) return;
    if (this.recorded && this.atEnd) this.goTo(0);
    this.playing = true;
    this.last = performance.now();
    this.frame = requestAnimationFrame((now) => this.tick(now));
    this.tell("playing");
  }

  pause(): void {
    if (!this.playing) return;
    this.playing = false;
    cancelAnimationFrame(this.frame);
    this.tell("playing");
    void this.refresh();
  }

  toggle(): void {
    if (this.playing) this.pause();
    else this.play();
  }

  private tick(now: number): void {
    if (!this.playing) return;
    // A tab that was in the background goes on from where it was, and does not lurch.
    const passed = Math.min(now - this.last, 100) * this.speed;
    this.last = now;
    void this.pump(this.time + passed).finally(() => {
      if (this.playing) this.frame = requestAnimationFrame((next) => this.tick(next));
    });
  }

  private async pump(to: number): Promise<void> {
    const branch = this.branch;
    if (!branch || this.pumping) return;
    const target = this.stopAt === null ? to : Math.min(to, this.stopAt);
    const { timeline } = branch;
    const { row, time } = this;
    if (target > timeline.end && !this.recorded) {
      this.pumping = true;
      const violations = timeline.about?.violations.length ?? 0;
      try {
        const delta = await this.guard(this.engine.ask("advance", branch.id, target, MOST_ROWS));
        timeline.apply(delta);
      } catch {
        return this.pause();
      } finally {
        this.pumping = false;
      }
      this.tell("rows");
      const broken = timeline.about?.violations ?? [];
      if (broken.length > violations && this.halt) {
        const row = broken[broken.length - 1]?.[0] ?? 0;
        this.moveTo(timeline.end);
        this.pause();
        this.say(`A promise is broken: ${broken[broken.length - 1]?.[1] ?? ""}`, true);
        return void this.select(row);
      }
      if (timeline.about?.full) {
        this.pause();
        this.say("This run is as long as it can be. Begin a new one, or fork an earlier moment.");
      }
    }
    // Whoever paused meanwhile, and went elsewhere, stays there.
    if (this.branch !== branch || this.row !== row || this.time !== time) return;
    this.moveTo(Math.min(target, Math.max(timeline.end, this.time)));
    if (performance.now() - this.stateAsked > STATE_EVERY_MS) void this.refresh();
    const ended = (this.recorded && this.time >= timeline.end) || (this.stopAt !== null && this.time >= this.stopAt);
    if (ended) {
      this.stopAt = null;
      this.pause();
    }
  }

  private moveTo(time: number): void {
    this.time = time;
    this.row = this.timeline?.rowsAt(time) ?? 0;
    this.tell("cursor");
  }

  /** Moves the cursor to a moment, by way of one that is not there yet if it must. */
  goToTime(time: number): void {
    this.pause();
    this.moveTo(Math.max(0, Math.min(time, this.timeline?.end ?? 0)));
    void this.refresh();
  }

  /** Moves the cursor to where so many rows have happened. */
  goTo(row: number): void {
    this.pause();
    const { timeline } = this;
    if (!timeline) return;
    this.row = Math.max(0, Math.min(row, timeline.count));
    this.time = this.row === 0 ? 0 : this.row === timeline.count ? timeline.end : timeline.time(this.row - 1);
    this.tell("cursor");
    void this.refresh();
  }

  /** Steps so many rows, making one if it must, and chooses the one that happened last. */
  async step(rows: number): Promise<void> {
    this.pause();
    const branch = this.branch;
    if (!branch) return;
    if (rows > 0 && this.row + rows > branch.timeline.count && !this.recorded) {
      await this.make({ matches: "" }, branch.timeline.end + AHEAD_MS);
    }
    this.goTo(this.row + rows);
    if (this.row > 0) await this.select(this.row - 1);
  }

  /** Goes on until something holds; says so if it does not within ten simulated minutes. */
  async runUntil(stop: Stop, name: string): Promise<void> {
    this.pause();
    const branch = this.branch;
    if (!branch) return;
    const row = this.recorded ? await this.findFlagged(stop) : await this.make(stop, branch.timeline.end + AHEAD_MS);
    if (row === null) {
      this.say(`Nothing like that happens: ${name}.`);
      return;
    }
    this.goTo(row + 1);
    await this.select(row);
  }

  /** Makes rows until something holds, or until a moment; gives the row. */
  async make(stop: Stop, until: number): Promise<number | null> {
    const branch = this.branch;
    if (!branch) return null;
    const found = await this.guard(this.engine.ask("runUntil", branch.id, stop, until, MOST_ROWS));
    branch.timeline.apply(found.delta);
    this.tell("rows");
    return found.row;
  }

  /** The next row of a trace in which something holds. */
  private async findFlagged(stop: Stop): Promise<number | null> {
    const { timeline, row } = this;
    if (!timeline) return null;
    if (typeof stop === "object" && "lag_above" in stop) {
      for (let at = row; at < timeline.count; at++) if (timeline.lag(at) > stop.lag_above) return at;
      return null;
    }
    const filter = typeof stop === "object" ? stop.matches : `kind:${stop}`;
    return (await this.find(filter, row))[0] ?? null;
  }

  /** Does something to the world, at the cursor. In the past that makes a branch. */
  async act(act: Act): Promise<void> {
    let branch = this.branch;
    if (!branch || this.recorded) return;
    const wasPlaying = this.playing;
    if (!this.atEnd || this.row < branch.timeline.count) branch = await this.fork();
    if (!branch) return;
    branch.timeline.apply(await this.guard(this.engine.ask("apply", branch.id, act)));
    this.known = await this.guard(this.engine.ask("inputs", branch.id));
    this.moveTo(Math.max(this.time, branch.timeline.end));
    this.tell("rows");
    await this.refresh();
    if (wasPlaying) this.play();
  }

  /** Makes a branch that has the same past as this one up to the cursor, and goes on with it. */
  async fork(): Promise<Branch | null> {
    this.pause();
    const from = this.branch;
    if (!from || this.recorded) return null;
    const id = ++this.ids;
    const delta = await this.guard(this.engine.ask("fork", id, from.id, this.row));
    const timeline = new Timeline();
    timeline.apply(delta);
    const used = new Set(this.branches.map((branch) => branch.letter));
    const letter = [...LETTERS].find((one) => !used.has(one)) ?? `${this.branches.length}`;
    const branch: Branch = { id, letter, timeline, fork: { from: from.letter, row: timeline.count } };
    this.branches.push(branch);
    this.current = this.branches.length - 1;
    this.moveTo(timeline.end);
    this.say(`Branch ${letter} begins here; ${from.letter} stays as it was.`);
    this.tell("branches", "rows");
    await this.refresh();
    return branch;
  }

  switchTo(index: number): void {
    if (!this.branches[index]) return;
    this.pause();
    this.current = index;
    this.selected = null;
    this.inspection = null;
    this.chain = { causes: [], effects: [] };
    this.moveTo(Math.min(this.time, this.timeline?.end ?? 0));
    this.tell("branches", "rows", "selection");
    void this.refresh();
  }

  /** Chooses a row: all about it, and what led to what. */
  async select(row: number | null): Promise<void> {
    const branch = this.branch;
    this.selected = row;
    if (row === null || !branch) {
      this.inspection = null;
      this.chain = { causes: [], effects: [] };
      return this.tell("selection");
    }
    const inspection = await this.guard(this.engine.ask("inspect", branch.id, row));
    if (this.selected !== row || this.branch !== branch) return;
    this.inspection = inspection;
    this.chain = { causes: inspection.causes, effects: inspection.effects };
    this.tell("selection");
  }

  async find(filter: string, from: number): Promise<Uint32Array> {
    const branch = this.branch;
    return branch ? this.guard(this.engine.ask("find", branch.id, filter, from, 1 << 20)) : new Uint32Array();
  }

  async raw(): Promise<unknown> {
    const branch = this.branch;
    if (!branch) return null;
    await this.guard(this.engine.ask("seek", branch.id, this.row));
    return this.guard(this.engine.ask("raw", branch.id));
  }

  async trace(): Promise<string> {
    return this.branch ? this.guard(this.engine.ask("trace", this.branch.id)) : "";
  }

  async inputs(): Promise<Input[]> {
    return this.branch ? this.guard(this.engine.ask("inputs", this.branch.id)) : [];
  }

  /** Says something for a while; what went wrong stays. */
  say(text: string, stays = false): void {
    this.notice = text;
    this.noticeStays = stays;
    this.tell("notice");
  }

  /** Asks for the state at the cursor; of several wishes the last one counts. */
  private async refresh(): Promise<void> {
    const branch = this.branch;
    if (!branch) return;
    const row = this.row;
    if (this.seeking !== null) {
      this.seeking = row;
      return;
    }
    this.seeking = row;
    this.stateAsked = performance.now();
    try {
      const { state } = await this.guard(this.engine.ask("seek", branch.id, row));
      if (this.branch === branch) {
        this.state = state;
        this.tell("state");
      }
    } catch {
      // The failure is shown by who guards.
    }
    const again = this.seeking !== row;
    this.seeking = null;
    if (again || this.branch !== branch) await this.refresh();
  }

  /** A panic ends the worker: its text is shown, with the inputs that led there. */
  private async guard<T>(promise: Promise<T>): Promise<T> {
    try {
      return await promise;
    } catch (error) {
      if (error instanceof Panic && !this.failure) {
        this.playing = false;
        this.failure = { text: error.message, inputs: this.known };
        this.tell("failure", "playing");
      }
      throw error;
    }
  }
}
