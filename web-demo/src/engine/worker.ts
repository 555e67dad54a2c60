/** The worker: owns the wasm module and its runs, and answers one question after the other. */

import init, { Run, kindNames, lastPanic, version } from "../../../runtime-wasm/pkg/takhin_wasm.js";
import wasm from "../../../runtime-wasm/pkg/takhin_wasm_bg.wasm?url";
import type { Calls, Delta, Question, Reply } from "./protocol";

/** How far the page has been told of each run. */
interface Told {
  run: Run;
  rows: number;
  marks: number;
  arrows: number;
  bands: number;
  /** The first span that was open when the page was told last. */
  span: number;
  lanes: number;
}

const [ROW, MARK, SPAN, ARROW] = [7, 4, 8, 6];
const OPEN = 0xffffffff;
const runs = new Map<number, Told>();

const calls: Calls = {
  create: (id, seed, inputs) => keep(id, new Run(BigInt(seed), JSON.stringify(inputs))),
  load: (id, trace) => keep(id, Run.fromTrace(trace)),
  fork: (id, from, row) => keep(id, get(from).run.fork(row)),
  drop(id) {
    runs.get(id)?.run.free();
    runs.delete(id);
    return null;
  },
  apply(id, act) {
    const told = get(id);
    const at = told.run.apply(JSON.stringify(act));
    told.run.advance(at, 1000);
    return delta(told);
  },
  advance(id, until, most) {
    const told = get(id);
    told.run.advance(until, most);
    return delta(told);
  },
  runUntil(id, stop, until, most) {
    const told = get(id);
    const row = told.run.runUntil(JSON.stringify(stop), until, most);
    return { delta: delta(told), row: row ?? null };
  },
  seek(id, row) {
    const { run } = get(id);
    const began = performance.now();
    const replayed = run.seek(row);
    const state = JSON.parse(run.state());
    return { state, replayed, bound: run.seekBound, ms: performance.now() - began };
  },
  inspect: (id, row) => JSON.parse(get(id).run.inspect(row)),
  raw: (id) => JSON.parse(get(id).run.rawState()),
  causes(id, row) {
    const { run } = get(id);
    return { causes: [...run.causes(row)], effects: [...run.effects(row)] };
  },
  find: (id, filter, from, most) => get(id).run.find(filter, from, most),
  inputs: (id) => JSON.parse(get(id).run.inputs()),
  trace: (id) => get(id).run.trace(),
  names: () => ({ kinds: kindNames(), version: version() }),
};

function get(id: number): Told {
  const told = runs.get(id);
  if (!told) throw new Error(`there is no run ${id}`);
  return told;
}

function keep(id: number, run: Run): Delta {
  runs.get(id)?.run.free();
  const told = { run, rows: 0, marks: 0, arrows: 0, bands: 0, span: 0, lanes: 0 };
  runs.set(id, told);
  return delta(told);
}

function delta(told: Told): Delta {
  const { run } = told;
  const rows = run.rowNumbers(told.rows);
  const marks = run.markNumbers(told.marks);
  const arrows = run.arrowNumbers(told.arrows);
  const spans = run.spanNumbers(told.span);
  const bands = JSON.parse(run.bands(told.bands));
  const texts = run.texts(told.rows, OPEN);
  const spansFrom = told.span;
  told.rows += rows.length / ROW;
  told.marks += marks.length / MARK;
  told.arrows += arrows.length / ARROW;
  told.bands += bands.length;
  let open = 0;
  while (open * SPAN < spans.length && spans[open * SPAN + 5] !== OPEN) open++;
  told.span += open;
  return { rows, marks, spans, spansFrom, arrows, bands, texts, lanes: JSON.parse(run.lanes()), about: JSON.parse(run.about()) };
}

const ready = init({ module_or_path: wasm });
// Each question is answered with why it failed, if it did.
ready.catch(() => undefined);

self.addEventListener("message", (event: MessageEvent<Question>) => {
  void answer(event.data).then((reply) => self.postMessage(reply));
});

async function answer({ id, call, arguments: given }: Question): Promise<Reply> {
  try {
    await ready;
    const ask = calls[call] as (...words: unknown[]) => unknown;
    return { id, ok: ask(...given) };
  } catch (error) {
    const panic = error instanceof WebAssembly.RuntimeError;
    const said = error instanceof Error ? error.message : String(error);
    return { id, error: panic ? lastPanic() || said : said, panic };
  }
}
