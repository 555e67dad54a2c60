/** The left side: what there is at the cursor. Topics with how far they reach, groups with members, what each waits for, and lag. */

import type { ClientState, Member, State } from "../engine/protocol";
import { fill, h, type Child } from "../shell/dom";
import { span } from "../timeline/timeline";
import type { Player } from "./player";

/** How many partitions of a topic, partitions of a member, members of a group and entries of a kind are listed; of the rest one says how many. */
const MOST = { partitions: 32, held: 24, members: 50, entries: 50 };

export function worldPanel(player: Player): HTMLElement {
  const body = h("div", { class: "world-body", tabindex: 0 });
  const element = h("section", { class: "pane world", "aria-label": "World" }, h("h2", { class: "pane-title" }, "World"), body);
  const show = () => {
    const { state } = player;
    if (state) fill(body, ...content(state, player));
  };
  player.on("state", show);
  return element;
}

function content(state: State, player: Player): Child[] {
  const parts: Child[] = [];
  if (state.down) parts.push(h("p", { class: "message bad" }, "The broker is down."));
  else if (state.storage) parts.push(h("p", { class: "message bad" }, `Storage: ${state.storage}.`));
  const producers = state.clients.filter((client) => client.role === "producer");
  if (state.topics.length === 0 && state.groups.length === 0 && state.clients.length === 0) {
    const hint = player.recorded ? "Nothing is there yet at this moment." : "Nothing is there yet. Begin with a topic, above.";
    return [...parts, h("p", { class: "message" }, hint)];
  }
  let most = 1;
  for (const topic of state.topics) for (const [, end] of topic.partitions) most = Math.max(most, end);
  for (const topic of state.topics.slice(0, MOST.entries)) {
    const records = topic.partitions.reduce((sum, [start, end]) => sum + end - start, 0);
    parts.push(
      h(
        "div",
        { class: "card" },
        h("h3", {}, topic.name, h("span", { class: "soft" }, ` ${records} records`)),
        ...topic.partitions.slice(0, MOST.partitions).map(([start, end], at) => partition(at, start, end, most)),
        rest(topic.partitions, MOST.partitions, "partitions"),
      ),
    );
  }
  parts.push(rest(state.topics, MOST.entries, "topics"));
  if (producers.length > 0) {
    parts.push(h("div", { class: "card" }, h("h3", {}, "producers"), ...producers.map(producer)));
  }
  for (const group of state.groups.slice(0, MOST.entries)) {
    const lag = group.lag === 0 ? "no lag" : `lag ${group.lag}${group.lag_ms > 0 ? ` · ${span(group.lag_ms)}` : ""}`;
    const clients = new Map(state.clients.map((client) => [client.name, client]));
    parts.push(
      h(
        "div",
        { class: "card" },
        h(
          "h3",
          {},
          group.name,
          h("span", { class: "badge" }, `g${group.generation}`),
          h("span", { class: group.lag > 0 ? "lag" : "soft" }, lag),
        ),
        group.members.length === 0 ? h("p", { class: "soft" }, "nobody is in it") : null,
        ...group.members.slice(0, MOST.members).map((one) => member(one, clients.get(one.name), state.now)),
        rest(group.members, MOST.members, "members"),
      ),
    );
  }
  parts.push(rest(state.groups, MOST.entries, "groups"));
  const lost = state.clients.filter((client) => client.role === "consumer" && !state.groups.some((group) => group.members.some((one) => one.name === client.name)));
  if (lost.length > 0) {
    parts.push(h("div", { class: "card" }, h("h3", {}, "in no group"), ...lost.map((client) => h("p", { class: "line" }, client.name, life(client, state.now)))));
  }
  return parts;
}

function rest(list: unknown[], shown: number, what: string): Child {
  const more = list.length - shown;
  return more > 0 ? h("p", { class: "soft" }, `and ${more.toLocaleString("en")} more ${what}`) : null;
}

function partition(at: number, start: number, end: number, most: number): HTMLElement {
  const bar = h("span", { class: "fill" });
  bar.style.width = `${Math.max(end > 0 ? 3 : 0, (end / most) * 100)}%`;
  const trimmed = start > 0 ? `, from ${start}` : "";
  return h("p", { class: "line" }, h("span", { class: "number" }, at), h("span", { class: "bar" }, bar), h("span", { class: "count" }, `${end}${trimmed}`));
}

function producer(client: ClientState): HTMLElement {
  const rhythm = client.every_ms ? `every ${span(client.every_ms)}` : "by hand";
  return h("p", { class: "line" }, client.name, h("span", { class: "soft" }, client.life === "running" ? (client.waiting ? "asks" : rhythm) : ""), life(client, 0));
}

function life(client: ClientState | undefined, now: number): Child {
  if (!client || client.life === "running") return null;
  const text = client.life === "frozen" && client.until !== null ? `frozen, ${span(Math.max(0, client.until - now))} more` : client.life;
  return h("span", { class: "badge bad" }, text);
}

function member(one: Member, client: ClientState | undefined, now: number): HTMLElement {
  const held: Child[] = one.partitions.slice(0, MOST.held).map((partition) => {
    const name = partition.name.slice(partition.name.lastIndexOf("/") + 1);
    const title = `${partition.name}: stands at ${partition.position ?? "no place"} of ${partition.end}, committed ${partition.committed ?? "nothing"}`;
    return h("span", { class: partition.revoking ? "part revoking" : "part", title }, name, partition.lag > 0 ? h("i", {}, `−${partition.lag}`) : null);
  });
  if (one.partitions.length > MOST.held) held.push(h("span", { class: "soft" }, `and ${one.partitions.length - MOST.held} more`));
  return h(
    "div",
    { class: "member" },
    h(
      "p",
      { class: "line" },
      h("span", { class: `letter member-${one.letter ?? "a"}` }, one.letter ?? "?"),
      h("strong", {}, one.name),
      ...(held.length > 0 ? held : [h("span", { class: "soft" }, "no partition")]),
      life(client, now),
      one.away ? h("span", { class: "badge" }, "away, its place is kept") : null,
    ),
    h("p", { class: "line sub" }, ...doing(one, client, now)),
  );
}

/** What a member is doing: waiting with so much time left, working, or silent, and how much longer it may be. */
function doing(one: Member, client: ClientState | undefined, now: number): Child[] {
  if (one.poll?.parked) {
    const left = Math.max(0, one.poll.deadline - now);
    return [disc(left / Math.max(left, 10_000)), `waits, ${span(left)} more`];
  }
  if (one.poll) return ["its poll is being answered"];
  if (client && client.life === "running" && client.processing > 0) return [`works on ${client.processing} records`];
  if (one.ends_at !== null && (!client || client.life !== "running")) return [`silent: expires in ${span(Math.max(0, one.ends_at - now))}`];
  return ["between two polls"];
}

/** A disc of which a part is left. */
function disc(part: number): Node {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "-8 -8 16 16");
  svg.setAttribute("class", "disc");
  svg.setAttribute("aria-hidden", "true");
  const angle = Math.min(0.9999, Math.max(0, part)) * Math.PI * 2;
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", `M0 0L0 -6A6 6 0 ${angle > Math.PI ? 1 : 0} 1 ${6 * Math.sin(angle)} ${-6 * Math.cos(angle)}Z`);
  const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  ring.setAttribute("r", "7");
  svg.append(ring, path);
  return svg;
}
