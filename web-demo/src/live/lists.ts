/** The left side: all topics and all groups, and which of them is shown. */

import { h } from "../shell/dom";
import type { GroupSummary, Topic } from "./answers";
import type { Chosen, Console } from "./console";
import { createTopic } from "./create";
import { Keyed, say } from "./keyed";
import { count, many } from "./words";

/** More than these are found with the filter. */
const MOST_SHOWN = 500;

export interface Lists {
  element: HTMLElement;
  topics(topics: Topic[]): void;
  groups(groups: GroupSummary[]): void;
  chosen(chosen: Chosen | null): void;
}

interface Entry extends Chosen {
  title: string;
  detail: string;
}

export function lists(at: Console): Lists {
  let current: Chosen | null = null;
  const all: Record<Chosen["kind"], Entry[] | null> = { topic: null, group: null };
  const filter = h("input", { class: "field lv-filter", type: "search", placeholder: "Filter", "aria-label": "Filter topics and groups" });
  filter.addEventListener("input", () => show());
  const parts = { topic: section("topic"), group: section("group") };

  function section(kind: Chosen["kind"]) {
    const list = h("ul", { class: "lv-list" });
    const none = h("p", { class: "lv-none", hidden: true });
    const title = kind === "topic" ? "Topics" : "Groups";
    const add = kind === "topic" ? h("button", { class: "button", onclick: () => createTopic(at) }, "+ Topic") : null;
    const keyed = new Keyed<Entry>(list, (entry) => entry.name, entryPart);
    const element = h("section", { "aria-label": title }, h("div", { class: "lv-list-head" }, h("h2", { class: "pane-title" }, title), add), list, none);
    return { element, keyed, none };
  }

  function entryPart(entry: Entry) {
    const title = h("span", { class: "lv-name" });
    const detail = h("span", { class: "soft" });
    const button = h("button", { class: "lv-entry", onclick: () => at.choose({ kind: entry.kind, name: entry.name }) }, title, detail);
    return {
      element: h("li", {}, button),
      update(now: Entry) {
        say(title, now.title);
        say(detail, now.detail);
        const shown = current?.kind === now.kind && current.name === now.name;
        if (shown) button.setAttribute("aria-current", "true");
        else button.removeAttribute("aria-current");
      },
    };
  }

  function show(): void {
    const wanted = filter.value.trim().toLowerCase();
    for (const kind of ["topic", "group"] as const) {
      const entries = all[kind];
      if (!entries) continue;
      const found = entries.filter((entry) => entry.name.toLowerCase().includes(wanted));
      parts[kind].keyed.show(found.slice(0, MOST_SHOWN));
      const { none } = parts[kind];
      none.hidden = found.length > 0 && found.length <= MOST_SHOWN;
      const left = found.length - MOST_SHOWN;
      const nothing = kind === "topic" ? "No topic yet." : "No group yet: one is there once a consumer subscribes.";
      say(none, left > 0 ? `${count(left)} more: use the filter.` : entries.length > 0 ? "None matches the filter." : nothing);
    }
    filter.hidden = (all.topic?.length ?? 0) + (all.group?.length ?? 0) < 8 && wanted === "";
  }
  filter.hidden = true;

  return {
    element: h("nav", { class: "lv-lists", "aria-label": "Topics and groups" }, filter, parts.topic.element, parts.group.element),
    topics(topics) {
      all.topic = topics.map(({ name, partitions, offsets }) => {
        const records = offsets.reduce((sum, { start, end }) => sum + end - start, 0);
        return { kind: "topic", name, title: name, detail: `${count(partitions)} p · ${count(records)}` };
      });
      show();
    },
    groups(groups) {
      all.group = groups.map(({ group_id, state, members }) => ({ kind: "group", name: group_id, title: group_id, detail: members === 0 ? "empty" : `${many(members, "member")}${state === "stable" ? "" : ` · ${state}`}` }));
      show();
    },
    chosen(chosen) {
      current = chosen;
      show();
    },
  };
}
