/** The tab live: the console of the server that serves this page. It reads the public HTTP API, and nothing else. */

import "./live.css";
import { fill, h } from "../shell/dom";
import type { Shell, View } from "../shell/shell";
import { Api, Away, path, reason, Refusal } from "./api";
import type { GroupSummary, Health, Topic } from "./answers";
import type { Chosen, Console, Detail } from "./console";
import { createTopic } from "./create";
import { groupDetail, nothingSeen, type Seen } from "./group";
import { say } from "./keyed";
import { keyForm } from "./key";
import { lists } from "./lists";
import { rounds } from "./rounds";
import { topicDetail } from "./topic";
import { many } from "./words";

/** The lists and the server's health are asked for in every third round. */
const OVERVIEW_EVERY = 3;
const MOST_STEPS = 1_000_000;

export function liveView(): View {
  const api = new Api();
  const seen = new Map<string, Seen>();
  let shell: Shell | null = null;
  let topics: Topic[] = [];
  let heard = false;
  let away = false;
  let chosen: Chosen | null = fromHash();
  let detail: Detail | null = null;
  let onView = false;

  const at: Console = { api, topics: () => topics, choose, refresh: () => clockwork.soon(), announce: (text) => shell?.announce(text) };
  const state = h("span", { class: "badge" }, "asking …");
  const figures = h("span", { class: "facts" });
  const steps = h("input", { class: "field lv-steps", type: "number", value: 1000, min: 1, max: MOST_STEPS, "aria-label": "How many steps to replay" });
  const replay = h("button", { class: "button", onclick: () => void replayLast() });
  const named = () => say(replay, `Replay the last ${many(asked(), "step")} here`);
  steps.addEventListener("input", named);
  named();
  const side = lists(at);
  const back = h("button", { class: "button lv-back", onclick: () => choose(null) }, "‹ All topics and groups");
  const place = h("div", { class: "lv-place" });
  const notice = h("p", { class: "lv-notice", role: "alert", hidden: true });
  const key = keyForm(api, () => {
    notice.hidden = true;
    clockwork.soon();
  });
  const element = h(
    "div",
    { class: "lv" },
    h("div", { class: "toolbar" }, state, figures, h("span", { class: "spacer" }), key.button, steps, replay),
    key.element,
    h("div", { class: "lv-body" }, side.element, h("div", { class: "lv-right" }, back, place)),
    notice,
  );
  api.onUnauthorized = () => key.needed();

  const clockwork = rounds(round, failed);

  async function round(nth: number): Promise<void> {
    const overview = nth % OVERVIEW_EVERY === 0 || !heard;
    if (overview || away) await health();
    const asks: Promise<void>[] = [];
    if (overview) asks.push(listTopics(), listGroups());
    if (detail) asks.push(look(detail));
    const broken = (await Promise.allSettled(asks)).find((one) => one.status === "rejected");
    if (broken) throw broken.reason;
    notice.hidden = true;
  }

  async function health(): Promise<void> {
    const { body } = await api.get<Health>("/api/health");
    if (away) at.announce("The server is back.");
    away = false;
    say(state, body.draining ? "stopping" : body.status);
    state.className = `badge ${body.status === "ok" && !body.draining ? "good" : "bad"}`;
    const storage = body.storage === "ok" ? "" : ` · storage: ${body.storage}`;
    say(figures, `${many(body.topics, "topic")} · ${many(body.consumers, "consumer")} · ${many(body.parked_polls, "poll waits", "polls wait")}${storage}`);
  }

  async function listTopics(): Promise<void> {
    ({ topics } = (await api.get<{ topics: Topic[] }>("/api/topics")).body);
    side.topics(topics);
    const first = !heard;
    heard = true;
    key.fine();
    if (!detail && (first || topics.length > 0 !== (place.dataset["empty"] === "")) && !chosen) nothingChosen();
    if (first && chosen) choose(chosen);
  }

  async function listGroups(): Promise<void> {
    side.groups((await api.get<{ groups: GroupSummary[] }>("/api/consumer-groups")).body.groups);
  }

  async function look(at: Detail): Promise<void> {
    try {
      await at.refresh();
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 404) throw error;
      if (at === detail) gone(reason(error));
    }
  }

  function gone(why: string): void {
    detail?.shown(false);
    detail = null;
    fill(place, h("div", { class: "live-empty" }, h("h2", {}, "It is gone"), h("p", {}, `${why}.`)));
  }

  function failed(error: unknown): void {
    notice.hidden = false;
    if (error instanceof Away) {
      if (!away && heard) at.announce("The server is away.");
      away = true;
      say(state, "away");
      state.className = "badge bad";
      say(notice, heard ? "The server is away. What you see is the last that was heard of it. It is asked again every few seconds." : `${reason(error)}.`);
      notice.hidden = !heard;
      if (!heard) noServer();
    } else if (error instanceof Refusal && error.status === 401) {
      notice.hidden = true;
      say(state, "wants a key");
      state.className = "badge bad";
      if (!heard) keyWanted();
    } else {
      say(notice, `${reason(error)}.`);
    }
  }

  function noServer(): void {
    if (place.dataset["away"] === "") return;
    place.dataset["away"] = "";
    const text = "This tab is the console of the server that serves the page. None answers here now; it is asked again every few seconds, and shown as soon as it is there.";
    fill(place, h("div", { class: "live-empty" }, h("h2", {}, "No server answers"), h("p", {}, text), h("p", {}, "To start one:"), h("pre", { tabindex: 0 }, "takhin serve")));
  }

  function keyWanted(): void {
    delete place.dataset["away"];
    if (place.dataset["key"] === "") return;
    place.dataset["key"] = "";
    const text = "Give it one above: what is here is shown as far as the key may see it. The first one is made on the server's machine:";
    fill(place, h("div", { class: "live-empty" }, h("h2", {}, "The server answers to keys only"), h("p", {}, text), h("pre", { tabindex: 0 }, "takhin key create --cluster admin --name admin")));
  }

  function nothingChosen(): void {
    delete place.dataset["key"];
    delete place.dataset["away"];
    if (topics.length > 0) {
      delete place.dataset["empty"];
      return fill(place, h("div", { class: "live-empty" }, h("h2", {}, "This server"), h("p", {}, "Choose a topic to see its records, or a group to see how far it is.")));
    }
    place.dataset["empty"] = "";
    const line = `curl ${location.origin}/api/topics -d '{"name": "orders", "partitions": 3}'`;
    fill(place, h("div", { class: "live-empty" }, h("h2", {}, "No topic yet"), h("p", {}, "Make the first one here:"), h("button", { class: "button primary", onclick: () => createTopic(at) }, "Create a topic"), h("p", {}, "or from a shell:"), h("pre", { tabindex: 0 }, line)));
  }

  function choose(next: Chosen | null): void {
    detail?.shown(false);
    chosen = next;
    element.dataset["chosen"] = next ? "yes" : "no";
    side.chosen(next);
    rememberInHash(next);
    detail = null;
    if (!next) return nothingChosen();
    delete place.dataset["key"];
    delete place.dataset["away"];
    delete place.dataset["empty"];
    detail = next.kind === "topic" ? topicDetail(at, next.name) : groupDetail(at, next.name, seenOf(next.name));
    fill(place, detail.element);
    place.parentElement?.scrollTo(0, 0);
    detail.shown(onView && !document.hidden);
    clockwork.soon();
  }

  function seenOf(group: string): Seen {
    let known = seen.get(group);
    if (!known) seen.set(group, (known = nothingSeen()));
    return known;
  }

  async function replayLast(): Promise<void> {
    replay.disabled = true;
    try {
      const trace = await api.text(`${path("debug", "trace")}?steps=${asked()}`);
      if (trace.trim() === "") throw new Error("The server keeps no steps (--flight-recorder 0)");
      shell?.replay(trace, "this server's last steps");
    } catch (error) {
      notice.hidden = false;
      say(notice, `The steps can't be had: ${reason(error)}.`);
    } finally {
      replay.disabled = false;
    }
  }

  function asked(): number {
    return Math.min(MOST_STEPS, Math.max(1, Math.round(Number(steps.value) || 1000)));
  }

  function looked(now: boolean): void {
    onView = now;
    detail?.shown(now && !document.hidden);
    clockwork.shown(now);
  }
  document.addEventListener("visibilitychange", () => detail?.shown(onView && !document.hidden));

  return {
    mount(panel, given) {
      shell = given;
      element.dataset["chosen"] = chosen ? "yes" : "no";
      panel.append(element);
    },
    show() {
      rememberInHash(chosen);
      looked(true);
    },
    hide() {
      looked(false);
      if (location.hash.startsWith("#live")) history.replaceState(null, "", location.pathname + location.search);
    },
  };
}

/** `#live=topic/orders`: what is shown can be kept as a bookmark. */
function fromHash(): Chosen | null {
  const found = /^#live=(topic|group)\/(.+)$/.exec(location.hash);
  if (!found?.[1] || !found[2]) return null;
  try {
    return { kind: found[1] as Chosen["kind"], name: decodeURIComponent(found[2]) };
  } catch {
    return null;
  }
}

function rememberInHash(chosen: Chosen | null): void {
  history.replaceState(null, "", chosen ? `#live=${chosen.kind}/${encodeURIComponent(chosen.name)}` : "#live");
}
