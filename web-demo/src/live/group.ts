/**
 * A group: who is in it with which partitions, how far each partition is, how the lag went, and why it was assigned anew.
 *
 * Members are read from the group alone: asking for a consumer itself would renew its session, and keep a dead one alive.
 */

import { h } from "../shell/dom";
import { path } from "./api";
import type { Group, GroupPartition, Member } from "./answers";
import { table, type Console, type Detail } from "./console";
import { Keyed, say } from "./keyed";
import { PAGE_ROWS, Pages } from "./pages";
import { Rebalances, type Rebalance } from "./rebalances";
import { resetOffsets } from "./reset";
import { spark } from "./spark";
import { direction, Trend } from "./trend";
import { assignment, clock, count, many, memberName, rebalanced, span } from "./words";

const LETTERS = "abcdef";
/** Partitions beyond this many have no line of their own. */
const MOST_TRENDS = 100;

/** What the page has seen of a group; it outlives the detail, so that a look elsewhere costs nothing but a gap. */
export interface Seen {
  total: Trend;
  partitions: Map<string, Trend>;
  rebalances: Rebalances;
  /** What consumers are called, also those who left. */
  names: Map<string, string>;
}

export function nothingSeen(): Seen {
  return { total: new Trend(), partitions: new Map(), rebalances: new Rebalances(), names: new Map() };
}

interface Shown<T> {
  item: T;
  now: number;
}

export function groupDetail(at: Console, name: string, seen: Seen): Detail {
  let group: Group | null = null;
  let letters = new Map<string, string>();
  const state = h("span", { class: "badge" }, "…");
  const about = h("p", { class: "soft" }, "…");
  const reset = h("button", { class: "button", disabled: true, onclick: () => group && resetOffsets(at, group) }, "Reset offsets");
  const lag = h("span", { class: "lv-figure" }, "–");
  const how = h("span", { class: "soft" });
  const line = spark(seen.total, "Lag", 320, 44);
  const period = h("p", { class: "soft lv-period" });
  const last = h("p", {}, "…");
  const nobody = h("p", { class: "lv-none", hidden: true });

  const members = table("Members of the group", ["Member", "Partitions", "Lag", "Session", "Commits"], 2);
  const memberRows = new Keyed<Shown<Member>>(members.body, ({ item }) => item.consumer_id, memberRow);
  const parts = table("Partitions of the group", ["Partition", "Owner", "Committed", "End", "Lag", "Behind", "Trend"], 2);
  const partRows = new Keyed<Shown<GroupPartition>>(parts.body, ({ item }) => `${item.topic}/${item.partition}`, partitionRow);
  const memberPages = new Pages(memberRows, "members");
  const partPages = new Pages(partRows, "partitions");
  const worstFirst = h("input", { type: "checkbox", checked: true });
  const worst = h("label", { class: "check", hidden: true }, worstFirst, "the largest lag first");
  worstFirst.addEventListener("change", () => group && update(performance.now(), group));
  const history = h("ol", { class: "lv-history" });
  const historyRows = new Keyed<Shown<Rebalance>>(history, ({ item }) => `${item.generation}@${item.at}`, rebalanceRow);
  const called = (id: string) => seen.names.get(id) ?? id.slice(0, 8);

  function letter(id: string | null): HTMLElement {
    const mine = id === null ? "" : (letters.get(id) ?? "");
    return h("span", { class: `letter member-${mine}`, "aria-hidden": "true" }, mine);
  }

  function memberRow({ item }: Shown<Member>) {
    const who = h("span", { title: item.consumer_id });
    const cells = Array.from({ length: 4 }, () => h("td"));
    const badge = letter(item.consumer_id);
    return {
      element: h("tr", {}, h("th", { scope: "row" }, h("span", { class: "lv-who" }, badge, who)), ...cells),
      update({ item: member }: Shown<Member>) {
        const total = Object.values(member.lag).flatMap((byPartition) => Object.values(byPartition)).reduce<number>((sum, one) => sum + (one ?? 0), 0);
        const giving = member.revoking ? `, gives up ${assignment(member.revoking)}` : "";
        const paused = member.paused ? `, paused ${assignment(member.paused)}` : "";
        say(who, `${memberName(member)}${member.away ? " (away)" : ""}`);
        const texts = [`${assignment(member.assignment)}${giving}${paused}`, count(total), span(member.session_timeout_ms), member.auto_commit ? `every ${span(member.auto_commit_interval_ms)}` : "by itself"];
        texts.forEach((text, nth) => cells[nth] && say(cells[nth], text));
      },
    };
  }

  function partitionRow({ item }: Shown<GroupPartition>) {
    const cells = Array.from({ length: 5 }, () => h("td"));
    const owner = h("td");
    const key = `${item.topic}/${item.partition}`;
    let owned: string | null | undefined;
    const trend = seen.partitions.get(key);
    const drawn = trend ? spark(trend, `Lag of ${key}`, 96, 20) : null;
    return {
      element: h("tr", {}, h("th", { scope: "row" }, key), owner, ...cells.slice(0, 4), h("td", {}, drawn?.element)),
      update({ item: part, now }: Shown<GroupPartition>) {
        if (owned !== part.owner) {
          owned = part.owner;
          owner.replaceChildren(...(owned === null ? ["–"] : [h("span", { class: "lv-who" }, letter(owned), called(owned))]));
        }
        const texts = [part.committed === null ? "none" : count(part.committed), count(part.end), count(part.lag), part.lag_ms === null ? "–" : part.lag_ms === 0 ? "0" : span(part.lag_ms)];
        texts.forEach((text, nth) => cells[nth] && say(cells[nth], text));
        drawn?.draw(now);
      },
    };
  }

  function rebalanceRow({ item }: Shown<Rebalance>) {
    const unseen = item.unseen > 0 ? ` (${many(item.unseen, "generation")} before it went by unseen)` : "";
    const text = h("span", {}, rebalanced(item.why, called) + unseen);
    const when = h("span", { class: "soft" }, item.at === null ? "" : clock(item.at).slice(0, 8));
    return { element: h("li", {}, h("span", { class: "badge" }, `g${item.generation}`), when, text), update: () => undefined };
  }

  function sample(now: number, { partitions }: Group): void {
    seen.total.add(now, partitions.reduce((sum, { lag: one }) => sum + (one ?? 0), 0));
    for (const part of partitions.slice(0, MOST_TRENDS)) {
      const key = `${part.topic}/${part.partition}`;
      let trend = seen.partitions.get(key);
      if (!trend) seen.partitions.set(key, (trend = new Trend()));
      if (part.lag !== null) trend.add(now, part.lag);
    }
  }

  /** By name; where they don't fit on a page those that are behind most come first, if wanted. */
  function inOrder(partitions: GroupPartition[]): GroupPartition[] {
    worst.hidden = partitions.length <= PAGE_ROWS;
    if (worst.hidden || !worstFirst.checked) return partitions;
    return [...partitions].sort((one, other) => (other.lag ?? 0) - (one.lag ?? 0));
  }

  function update(now: number, group: Group): void {
    reset.disabled = false;
    const all = [...group.members, ...(group.manual ?? [])];
    for (const member of all) seen.names.set(member.consumer_id, memberName(member));
    letters = new Map(all.map((member, nth) => [member.consumer_id, LETTERS[nth % LETTERS.length] ?? "a"]));
    const news = seen.rebalances.look(group);
    sample(now, group);

    say(state, group.state);
    state.className = `badge${group.state === "stable" ? " good" : ""}`;
    const until = group.expires_at ? ` · offsets are kept for ${span(Math.max(0, group.expires_at - Date.now()))}` : "";
    say(about, `generation ${group.generation} · ${many(all.length, "member")}${group.assignor ? ` · assignor ${group.assignor}` : ""}${until}`);
    say(lag, count(seen.total.latest));
    say(how, `records behind${direction(seen.total.perSecond()) ? `, ${direction(seen.total.perSecond())}` : ""}`);
    line.draw(now);
    say(period, `the last ${span(seen.total.window(now))}, at most ${count(seen.total.greatest)}`);
    const since = group.last_rebalance_at === null ? "" : `, ${span(Math.max(0, Date.now() - group.last_rebalance_at))} ago`;
    say(last, `Last: ${rebalanced(group.last_rebalance, called)}${since}.`);
    memberPages.show(all.map((item) => ({ item, now })));
    partPages.show(inOrder(group.partitions).map((item) => ({ item, now })));
    historyRows.show(seen.rebalances.seen.map((item) => ({ item, now })));
    members.element.hidden = all.length === 0;
    nobody.hidden = all.length > 0;
    say(nobody, "Nobody is in it. Its offsets wait for the next consumer.");
    if (news && seen.rebalances.seen.length > 1) at.announce(`${name} has generation ${group.generation}: ${rebalanced(group.last_rebalance, called)}.`);
  }

  return {
    element: h(
      "article",
      { class: "lv-detail", "aria-label": `Group ${name}` },
      h("div", { class: "lv-title" }, h("h2", {}, name), state, about, h("span", { class: "spacer" }), reset),
      h(
        "div",
        { class: "lv-split" },
        h("section", { class: "lv-block", "aria-label": "Lag" }, h("h3", {}, "Lag"), h("p", { class: "lv-lag" }, lag, how), line.element, period),
        h("section", { class: "lv-block", "aria-label": "Rebalances" }, h("h3", {}, "Rebalances ", h("span", { class: "soft" }, "as this page saw them")), last, history),
      ),
      h("section", { class: "lv-block", "aria-label": "Members" }, h("h3", {}, "Members"), nobody, memberPages.element, members.element),
      h("section", { class: "lv-block", "aria-label": "Partitions" }, h("h3", {}, "Partitions"), partPages.element, worst, parts.element),
    ),
    async refresh() {
      group = withOwnersLag((await at.api.get<Group>(path("consumer-groups", name))).body);
      update(performance.now(), group);
    },
    shown: () => undefined,
  };
}

/** Where nothing is committed the group has no lag: then it is what its owner has before it. */
function withOwnersLag(group: Group): Group {
  const members = new Map([...group.members, ...(group.manual ?? [])].map((member) => [member.consumer_id, member]));
  const partitions = group.partitions.map((part) => {
    const owned = part.owner === null ? undefined : members.get(part.owner)?.lag[part.topic]?.[part.partition];
    return { ...part, lag: part.lag ?? owned ?? null };
  });
  return { ...group, partitions };
}
