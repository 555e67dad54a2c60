/** World, picture, inspector, time and events around one player: what simulate and replay have in common. */

import { fill, h, type Child } from "../shell/dom";
import type { Shell } from "../shell/shell";
import { picture, type Picture } from "../timeline/picture";
import { Flag } from "../timeline/timeline";
import { VIOLATED } from "../timeline/draw";
import { eventList } from "./events";
import { helpDialog } from "./help";
import { inspector } from "./inspector";
import { Player, type Branch } from "./player";
import { transport } from "./transport";
import { worldPanel } from "./world";

export interface Workbench {
  element: HTMLElement;
  picture: Picture;
  /** Where what belongs to the tab stands, above the panes. */
  toolbar: HTMLElement;
  /** Where a scenario's words stand, over the picture. */
  caption: HTMLElement;
  help(): void;
  /** Handles a key; whether it was one of its own. */
  key(event: KeyboardEvent): boolean;
}

const PANES = ["world", "middle", "inspector", "events"] as const;
const PANE_TITLES = { world: "World", middle: "Picture", inspector: "Why", events: "Events" };

export function workbench(player: Player, shell: Shell, name: string): Workbench {
  const toolbar = h("div", { class: "toolbar", role: "toolbar", "aria-label": "What to do" });
  const noticed = h("span");
  const notice = h("p", { class: "notice", hidden: true }, noticed, h("button", { class: "button quiet", "aria-label": "Close the message", onclick: () => closeNotice() }, "✕"));
  const caption = h("div", { class: "caption-place" });
  const failure = h("div", { class: "failure", hidden: true });
  const list = eventList(player);
  let compared: Branch | null = null;

  const main = picture(player, () => player.branch, () => (compared ? difference(player.branch, compared) : null));
  const other = picture(player, () => compared, () => (compared ? difference(player.branch, compared) : null));
  const compareBar = h("div", { class: "compare-bar", hidden: true });
  other.element.hidden = true;

  const legend = h("button", { class: "button", onclick: () => showHelp(), "aria-label": "Keys and signs (?)", title: "Keys and signs (?)" }, "?");
  const zoomIn = h("button", { class: "button", "aria-label": "Closer (+)", title: "Closer (+)", onclick: () => zoom(1.4) }, "+");
  const zoomOut = h("button", { class: "button", "aria-label": "Farther (-)", title: "Farther (-)", onclick: () => zoom(1 / 1.4) }, "−");
  const fitAll = h("button", { class: "button", title: "All of it (0)", onclick: () => (main.fit(), other.fit()) }, "fit");
  const compare = h("select", { class: "field", "aria-label": "Compare with" });
  const views = h("div", { class: "picture-tools" }, compare, zoomOut, zoomIn, fitAll, legend);
  const middle = h("section", { class: "pane middle", "aria-label": "Picture" }, main.element, compareBar, other.element, caption, failure, notice);

  main.element.append(views);

  const panes = { world: worldPanel(player), middle, inspector: inspector(player), events: list.element };
  const tabs = h("div", { class: "pane-tabs", role: "group", "aria-label": "Pane" });
  const element = h("div", { class: "workbench", "data-pane": "middle", tabindex: -1 }, toolbar, tabs, panes.world, middle, panes.inspector, transport(player), panes.events);
  const tabButtons = PANES.map((pane) => h("button", { class: "tab", onclick: () => showPane(pane) }, PANE_TITLES[pane]));
  tabs.append(...tabButtons);

  function showPane(pane: (typeof PANES)[number]): void {
    element.dataset["pane"] = pane;
    PANES.forEach((one, at) => tabButtons[at]?.setAttribute("aria-pressed", String(one === pane)));
    main.redraw();
    other.redraw();
  }
  showPane("middle");

  function zoom(factor: number): void {
    main.zoom(factor);
    other.zoom(factor);
  }

  compare.addEventListener("change", () => {
    compared = player.branches[Number(compare.value)] ?? null;
    if (compared === player.branch) compared = null;
    showCompared();
  });
  player.on("branches", () => {
    if (compared && !player.branches.includes(compared)) compared = null;
    if (compared === player.branch) compared = null;
    fill(
      compare,
      h("option", { value: -1, selected: !compared }, "compare …"),
      ...player.branches.flatMap((branch, at) => (branch === player.branch ? [] : [h("option", { value: at, selected: branch === compared }, `with branch ${branch.letter}`)])),
    );
    compare.hidden = player.branches.length < 2;
    showCompared();
  });
  player.on("rows", () => compared && showCompared());

  function showCompared(): void {
    other.element.hidden = compareBar.hidden = !compared;
    if (compared && player.branch) {
      const from = difference(player.branch, compared);
      const text = from === null ? "the same so far" : `different from ${(from / 1000).toFixed(3)} s on, where it is hatched`;
      fill(compareBar, `Above branch ${player.branch.letter}, below branch ${compared.letter}: ${text}.`);
    }
    main.redraw();
    other.redraw();
  }

  let hiding = 0;
  player.on("notice", () => {
    noticed.textContent = player.notice;
    notice.hidden = player.notice === "";
    shell.announce(player.notice);
    clearTimeout(hiding);
    // What went wrong stays until it is read.
    if (!player.noticeStays) hiding = window.setTimeout(closeNotice, 8000);
  });
  function closeNotice(): void {
    if (notice.contains(document.activeElement)) element.focus();
    notice.hidden = true;
  }
  player.on("failure", () => fill(failure, ...failed(player)));
  player.on("failure", () => (failure.hidden = player.failure === null));
  player.on("selection", () => {
    if (player.inspection) shell.announce(player.inspection.text);
  });

  const dialog = helpDialog();
  element.append(dialog);
  const showHelp = () => dialog.showModal();

  function key(event: KeyboardEvent): boolean {
    const row = player.selected ?? player.row - 1;
    const { timeline } = player;
    const pick = (next: number | null | undefined) => {
      if (next !== null && next !== undefined) {
        player.goTo(next + 1);
        void player.select(next);
      }
    };
    switch (event.key) {
      case " ":
        player.toggle();
        return true;
      case "ArrowLeft":
      case "ArrowRight": {
        const step = event.key === "ArrowRight" ? 1 : -1;
        if (event.altKey) pick(timeline?.inLane(timeline.lane(row), row, step));
        else void player.step(step * (event.shiftKey ? 10 : 1));
        return true;
      }
      case "Home":
      case "End":
        // Whoever goes there has done with what was chosen: the next key begins there.
        void player.select(null);
        player.goTo(event.key === "Home" ? 0 : Infinity);
        return true;
      case "[":
        if (timeline) pick(timeline.cause(row));
        return true;
      case "]":
        pick(player.chain.effects[0]);
        return true;
      case "n":
        pick(timeline?.withFlag(VIOLATED, row, 1));
        return true;
      case "N":
        pick(timeline?.withFlag(VIOLATED, row, -1));
        return true;
      case "x":
        pick(timeline?.withFlag(Flag.expired | Flag.rebalanced, row, 1));
        return true;
      case "/":
        showPane(element.clientWidth < 760 ? "events" : "middle");
        list.filter.focus();
        return true;
      case "f":
        void player.fork();
        return true;
      case "b":
        player.switchTo((player.current + 1) % Math.max(1, player.branches.length));
        return true;
      case "+":
      case "=":
        zoom(1.4);
        return true;
      case "-":
        zoom(1 / 1.4);
        return true;
      case "0":
        main.fit();
        other.fit();
        return true;
      case "1":
      case "2":
      case "3":
      case "4": {
        const pane = PANES[Number(event.key) - 1] ?? "middle";
        showPane(pane);
        focusPane(panes[pane]);
        return true;
      }
      case "?":
        showHelp();
        return true;
      case "Escape":
        void player.select(null);
        return true;
      default:
        return false;
    }
  }

  element.dataset["name"] = name;
  return { element, picture: main, toolbar, caption, help: showHelp, key };
}

function focusPane(pane: HTMLElement): void {
  // What can be gone through with keys, or at least scrolled, before single fields.
  const first = pane.querySelector<HTMLElement>("[tabindex='0']") ?? pane.querySelector<HTMLElement>("button, input, summary, select");
  first?.focus();
}

/** From which moment on two branches are not the same; null if they are, as far as both go. */
function difference(one: Branch | null, other: Branch): number | null {
  if (!one) return null;
  const [a, b] = [one.timeline, other.timeline];
  const shared = Math.min(a.count, b.count);
  for (let row = 0; row < shared; row++) {
    if (a.time(row) !== b.time(row) || a.kind(row) !== b.kind(row) || a.texts[row] !== b.texts[row]) return Math.min(a.time(row), b.time(row));
  }
  if (a.count === b.count) return null;
  const longer = a.count > b.count ? a : b;
  return longer.time(shared) <= Math.min(a.end, b.end) ? longer.time(shared) : null;
}

function failed(player: Player): Child[] {
  if (!player.failure) return [];
  const { text, inputs } = player.failure;
  const save = () => download("takhin-inputs.json", JSON.stringify({ seed: player.seed, inputs }, null, 2), "application/json");
  return [
    h("h3", {}, "The core stopped with a bug"),
    h("pre", { tabindex: 0 }, text),
    h("p", {}, "What had been done is kept. Save it and report it: it makes the bug happen again."),
    inputs ? h("button", { class: "button", onclick: save }, "Save the inputs") : null,
    h("button", { class: "button primary", onclick: () => void player.simulate(player.seed, inputs ?? []) }, "Start anew with them"),
  ];
}

/** Hands a file to the browser. */
export function download(name: string, content: string, type: string): void {
  const link = h("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
