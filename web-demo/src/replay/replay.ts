/** The tab replay: a recorded trace of a server or of a simulation, and whether this core does the same. */

import { fill, h } from "../shell/dom";
import type { ReplayView, Shell } from "../shell/shell";
import { EXPORTS } from "../share/exports";
import { menu } from "../workbench/menu";
import { Player } from "../workbench/player";
import { untilMenu } from "../workbench/until";
import { workbench, type Workbench } from "../workbench/workbench";
import { clock } from "../timeline/timeline";

/** Larger files are refused before they are read. */
export const MOST_BYTES = 256 << 20;

export interface ReplayTab extends ReplayView {
  key(event: KeyboardEvent): boolean;
  /** Asks for a file. */
  choose(): void;
  openFile(file: File): Promise<void>;
}

/** `openScenario` takes files that are scenarios rather than traces. */
export function replayView(openScenario: (text: string) => void): ReplayTab {
  const player = new Player();
  let bench: Workbench | null = null;
  let shell: Shell | null = null;
  const picker = h("input", { type: "file", accept: ".jsonl,.json,.ndjson,.txt", class: "visually-hidden", tabindex: -1, "aria-label": "Trace or scenario file" });
  const facts = h("p", { class: "facts" });
  const said = h("p", { class: "message bad", role: "alert", hidden: true });
  const empty = h(
    "div",
    { class: "drop" },
    h("h2", {}, "Open a trace"),
    h("p", {}, "Drop a file here, choose one, or press ", h("kbd", {}, "o"), ". It stays in this browser."),
    h("button", { class: "button primary", onclick: () => picker.click() }, "Choose a file"),
    h(
      "dl",
      { class: "sources" },
      h("dt", {}, "From a server"),
      h("dd", {}, h("code", {}, "curl localhost:8080/api/debug/trace?steps=1000 > trace.jsonl")),
      h("dt", {}, "All of it, from the start"),
      h("dd", {}, h("code", {}, "takhin serve --record trace.jsonl")),
      h("dt", {}, "From a simulation that found something"),
      h("dd", {}, h("code", {}, "takhin simulate")),
    ),
    said,
  );

  picker.addEventListener("change", () => {
    const file = picker.files?.[0];
    picker.value = "";
    if (file) void tab.openFile(file);
  });

  const tab: ReplayTab = {
    mount(panel, given) {
      shell = given;
      bench = workbench(player, shell, "replay");
      bench.element.hidden = true;
      panel.append(empty, bench.element, picker);
      bench.toolbar.append(facts, h("span", { class: "spacer" }), untilMenu(player).element);
      const { picture } = bench;
      shell.actions("replay").append(
        h("button", { class: "button", onclick: () => picker.click(), title: "Open a trace (o)" }, "Open"),
        menu("Export", "replay-export-menu", EXPORTS.slice(1, 3).map((one) => ({ label: one.name, run: () => void one.run(player, picture.scene()).then((text) => player.say(text)) }))).element,
      );
      if (location.hash.startsWith("#trace=")) void fetchTrace(decodeURIComponent(location.hash.slice(7)));
    },
    hide: () => player.pause(),
    openTrace: (trace, from) => void open(trace, from),
    choose: () => picker.click(),
    async openFile(file) {
      if (file.size > MOST_BYTES) return refuse(file.name, `it has ${Math.round(file.size / (1 << 20))} MB, and at most ${MOST_BYTES >> 20} are read`);
      const text = await file.text();
      if (/^\s*\{/.test(text) && !text.slice(0, 4096).includes('"format"') && text.includes('"inputs"')) {
        shell?.open("simulate");
        return openScenario(text);
      }
      shell?.open("replay");
      await open(text, file.name);
    },
    key(event) {
      return bench && !bench.element.hidden ? bench.key(event) : false;
    },
  };
  return tab;

  async function fetchTrace(url: string): Promise<void> {
    const target = new URL(url, location.href);
    if (target.origin !== location.origin) return refuse(url, "it is on another server, and this page asks its own only");
    try {
      const response = await fetch(target);
      if (!response.ok) throw new Error(`the server answers ${response.status}`);
      await open(await response.text(), target.pathname);
    } catch (error) {
      refuse(url, error instanceof Error ? error.message : String(error));
    }
  }

  async function open(trace: string, from: string): Promise<void> {
    said.hidden = true;
    try {
      await player.open(trace);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return refuse(from, why.startsWith("line 1:") ? `it is no trace (${why})` : why);
    }
    const about = player.timeline?.about;
    if (!bench || !about) return;
    empty.hidden = true;
    bench.element.hidden = false;
    const same = about.expected === about.digest;
    const seed = about.seed === null ? "" : ` · seed ${about.seed}`;
    fill(
      facts,
      h("b", {}, from),
      h("span", { class: "soft" }, ` · core ${about.version}${about.version === player.version ? "" : `, replayed by ${player.version}`}${seed} · ${about.rows} steps in ${clock(about.now)} · `),
      h("span", { class: same ? "badge good" : "badge bad" }, same ? "✓ the same" : "✗ differs"),
      h("span", { class: "digest" }, same ? ` digest ${about.digest}` : ` expected ${about.expected}, got ${about.digest}`),
    );
    const row = about.divergence?.row ?? about.violations[0]?.[0];
    bench.picture.fit();
    if (row === undefined) {
      player.goTo(about.rows);
      return player.say(`${about.rows} steps, replayed with the same commands and the same digest.`);
    }
    player.goTo(row + 1);
    await player.select(row);
    player.say(
      about.divergence ? `Step ${row + 1} is the first in which this core does something else than what was recorded.` : `A promise is broken in step ${row + 1}: ${about.violations[0]?.[1] ?? ""}`,
      true,
    );
  }

  function refuse(from: string, why: string): void {
    shell?.open("replay");
    if (bench) bench.element.hidden = true;
    empty.hidden = false;
    said.hidden = false;
    said.textContent = `${from} can't be opened: ${why}.`;
  }
}
