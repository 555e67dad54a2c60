/** The list of all events: the picture in words. Only the rows in the window are elements; each has the same height. */

import { h } from "../shell/dom";
import { clock } from "../timeline/timeline";
import { VIOLATED } from "../timeline/draw";
import type { Player } from "./player";

export const ROW_HEIGHT = 28;
const AROUND = 6;

export interface EventList {
  element: HTMLElement;
  filter: HTMLInputElement;
}

export function eventList(player: Player): EventList {
  const filter = h("input", {
    class: "field filter",
    type: "search",
    placeholder: "kind:expired group:billing",
    "aria-label": "Filter events: words, kind:, group:, topic:, client:",
    spellcheck: "false",
  });
  const count = h("span", { class: "soft", role: "status" });
  const body = h("div", { class: "rows", role: "rowgroup" });
  const grid = h(
    "div",
    { class: "grid", role: "grid", "aria-label": "Events", tabindex: 0, "aria-colcount": 4 },
    body,
  );
  const element = h("section", { class: "pane events", "aria-label": "Events" }, h("div", { class: "events-head" }, h("h2", { class: "pane-title" }, "Events"), filter, count), grid);
  /** The rows that the filter finds; null is all of them. */
  let found: Uint32Array | null = null;
  let searched = 0;

  const total = () => (found ? found.length : (player.timeline?.count ?? 0));
  const rowAt = (at: number) => (found ? (found[at] ?? 0) : at);
  const placeOf = (row: number) => {
    if (!found) return row;
    let [low, high] = [0, found.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((found[middle] ?? 0) < row) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  function show(): void {
    const { timeline } = player;
    if (!timeline) return;
    const height = grid.clientHeight || 120;
    const first = Math.max(0, Math.floor(grid.scrollTop / ROW_HEIGHT) - AROUND);
    const last = Math.min(total(), Math.ceil((grid.scrollTop + height) / ROW_HEIGHT) + AROUND);
    body.style.height = `${total() * ROW_HEIGHT}px`;
    grid.setAttribute("aria-rowcount", String(total()));
    count.textContent = found ? `${total()} of ${timeline.count}` : `${timeline.count}`;
    const rows: HTMLElement[] = [];
    for (let at = first; at < last; at++) rows.push(line(at));
    if (rows.length === 0) {
      const text = found ? "No event matches the filter." : "Nothing has happened yet. Press play.";
      rows.push(h("div", { class: "row empty", role: "row" }, h("span", { role: "gridcell" }, text)));
    }
    body.replaceChildren(...rows);
    grid.setAttribute("aria-activedescendant", player.selected === null ? "" : `row-${player.selected}`);
  }

  function line(at: number): HTMLElement {
    const row = rowAt(at);
    const { timeline } = player;
    const lane = timeline?.lane(row) ?? null;
    const kind = player.kinds[timeline?.kind(row) ?? 0] ?? "";
    const bad = ((timeline?.flags(row) ?? 0) & VIOLATED) !== 0;
    const classes = ["row", `kind-${kind}`];
    if (row === player.selected) classes.push("chosen");
    if (player.chain.causes.includes(row) || player.chain.effects.includes(row)) classes.push("lit");
    if (row >= player.row) classes.push("future");
    if (bad) classes.push("broken");
    const cell = (name: string, text: string) => h("span", { class: name, role: "gridcell" }, text);
    const element = h(
      "div",
      { class: classes.join(" "), role: "row", id: `row-${row}`, "aria-rowindex": at + 1, "aria-selected": row === player.selected, onclick: () => choose(at) },
      cell("when", clock(timeline?.time(row) ?? 0)),
      cell("kind", kind),
      cell("lane", lane === null ? "" : (timeline?.lanes[lane]?.name ?? "")),
      cell("text", `${bad ? "⚠ " : ""}${timeline?.texts[row] ?? ""}`),
    );
    element.style.top = `${at * ROW_HEIGHT}px`;
    return element;
  }

  function choose(at: number): void {
    const row = rowAt(at);
    player.goTo(row + 1);
    void player.select(row);
  }

  function reveal(row: number): void {
    const top = placeOf(row) * ROW_HEIGHT;
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (top + ROW_HEIGHT > grid.scrollTop + grid.clientHeight) grid.scrollTop = top + ROW_HEIGHT - grid.clientHeight;
  }

  async function search(): Promise<void> {
    const words = filter.value.trim();
    const mine = ++searched;
    const result = words === "" ? null : await player.find(words, 0);
    if (mine !== searched) return;
    found = result;
    grid.scrollTop = 0;
    show();
    if (player.selected !== null) reveal(player.selected);
  }

  grid.addEventListener("scroll", show, { passive: true });
  grid.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(grid.clientHeight / ROW_HEIGHT) - 1);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    const from = player.selected === null ? -1 : placeOf(player.selected);
    if (total() > 0) choose(Math.max(0, Math.min(total() - 1, from + step)));
  });
  filter.addEventListener("input", () => void search());
  filter.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    // What a browser does by itself here differs, and not each one tells that the field is empty then.
    event.preventDefault();
    filter.value = "";
    void search();
    filter.blur();
  });
  new ResizeObserver(show).observe(grid);
  player.on("rows", () => {
    if (filter.value.trim() !== "" && !player.playing) void search();
    show();
    if (player.playing && !found) grid.scrollTop = player.row * ROW_HEIGHT;
  });
  player.on("branches", () => void search());
  player.on("playing", () => {
    if (!player.playing && filter.value.trim() !== "") void search();
  });
  player.on("cursor", () => {
    if (!player.playing && player.selected === null && player.row > 0) reveal(player.row - 1);
    show();
  });
  player.on("selection", () => {
    if (player.selected !== null) reveal(player.selected);
    show();
  });
  return { element, filter };
}
