/** The right side: all about the chosen row. What led there, what it led to, the commands, what changed, and the raw JSON. */

import { fill, h, type Child } from "../shell/dom";
import { clock } from "../timeline/timeline";
import type { Change } from "../engine/protocol";
import type { Player } from "./player";

const LONG = 160;

export function inspector(player: Player): HTMLElement {
  const body = h("div", { class: "inspector-body", tabindex: 0 });
  const element = h(
    "section",
    { class: "pane inspector", "aria-label": "Inspector" },
    h("h2", { class: "pane-title" }, "Inspector"),
    body,
  );
  const show = () => fill(body, ...content(player));
  player.on(["selection", "branches"], show);
  show();
  return element;
}

function content(player: Player): Child[] {
  const { inspection: seen, timeline } = player;
  if (!seen || !timeline) {
    return [h("p", { class: "message" }, "Choose an event, in the picture or in the list, to see why it happened and what it changed.")];
  }
  return [
    h(
      "div",
      { class: "headline" },
      h("p", { class: "soft" }, `#${seen.row + 1} · `, h("b", {}, seen.kind), ` · ${clock(seen.t)}`),
      h("p", { class: "said" }, seen.text),
      seen.violation ? h("p", { class: "message bad" }, `A promise is broken: ${seen.violation}`) : null,
    ),
    links("Why", seen.causes, "nothing before it", player),
    links("What it led to", seen.effects, "nothing yet", player),
    seen.recorded ? compared(seen.recorded, seen.commands) : commands(seen.commands),
    changes(seen.changes),
    raw("Event", seen.event),
    rawState(player),
  ];
}

function links(title: string, rows: number[], nothing: string, player: Player): HTMLElement {
  const { timeline } = player;
  const items = rows.slice(-8).map((row) =>
    h(
      "li",
      {},
      h(
        "button",
        { class: "link", onclick: () => void player.select(row) },
        h("span", { class: "when" }, clock(timeline?.time(row) ?? 0)),
        timeline?.texts[row] ?? "",
      ),
    ),
  );
  const more = rows.length - items.length;
  return section(
    title,
    items.length > 0 ? h("ol", { class: "links" }, more > 0 ? h("li", { class: "soft" }, `${more} before`) : null, ...items) : h("p", { class: "soft" }, nothing),
  );
}

function commands(given: unknown): HTMLElement {
  const list = Array.isArray(given) ? given : [];
  return section(
    `Commands${list.length > 0 ? ` (${list.length})` : ""}`,
    list.length > 0 ? h("ol", { class: "codes" }, ...list.map((one) => h("li", {}, command(one)))) : h("p", { class: "soft" }, "none"),
  );
}

function command(given: unknown): Child {
  const [name, content] = Object.entries(given as Record<string, unknown>)[0] ?? ["", {}];
  const text = JSON.stringify(content);
  return h("details", {}, h("summary", {}, h("b", {}, name), " ", h("code", {}, short(text))), h("pre", {}, JSON.stringify(content, null, 2)));
}

/** What was recorded, and what this version does. */
function compared(recorded: unknown, actual: unknown): HTMLElement {
  const side = (title: string, given: unknown) => h("div", {}, h("h4", {}, title), h("pre", { tabindex: 0 }, JSON.stringify(given, null, 2)));
  return section("Differs from what was recorded", h("div", { class: "compared" }, side("recorded", recorded), side("this core", actual)));
}

function changes(list: Change[]): HTMLElement {
  const rows = list.slice(0, 60).map((change) =>
    h(
      "li",
      {},
      h("code", { class: "path" }, change.path),
      "before" in change ? h("del", {}, short(JSON.stringify(change.before))) : null,
      "after" in change ? h("ins", {}, short(JSON.stringify(change.after))) : null,
    ),
  );
  const more = list.length - rows.length;
  return section(
    `What changed${list.length > 0 ? ` (${list.length})` : ""}`,
    rows.length > 0 ? h("ul", { class: "changes" }, ...rows, more > 0 ? h("li", { class: "soft" }, `and ${more} more`) : null) : h("p", { class: "soft" }, "nothing"),
  );
}

function raw(title: string, value: unknown): HTMLElement {
  return h("details", { class: "section" }, h("summary", {}, title), h("pre", { tabindex: 0 }, JSON.stringify(value, null, 2)));
}

function rawState(player: Player): HTMLElement {
  const out = h("pre", { tabindex: 0 }, "…");
  const details = h("details", { class: "section" }, h("summary", {}, "The whole state at the cursor"), out);
  details.addEventListener("toggle", () => {
    if (!details.open) return;
    void player.raw().then(
      (state) => (out.textContent = JSON.stringify(state, null, 2)),
      (error: Error) => (out.textContent = error.message),
    );
  });
  return details;
}

function section(title: string, ...content: Child[]): HTMLElement {
  return h("section", { class: "section" }, h("h3", {}, title), ...content);
}

function short(text: string): string {
  return text.length > LONG ? `${text.slice(0, LONG)}…` : text;
}
