/** What can be done to the world, as buttons and small forms. Each becomes an input at the cursor. */

import type { Act, ClientState, State } from "../engine/protocol";
import { fill, h } from "../shell/dom";
import type { Player } from "../workbench/player";

/** A question of a form. */
interface Field {
  name: string;
  label: string;
  /** A number with its least and most, or a choice, or a name. */
  kind: { number: [least: number, most: number]; unit?: string } | { choice: (state: State) => string[] } | "name" | "check";
  value: string | ((state: State) => string);
}

interface Action {
  label: string;
  fields: Field[];
  act(values: Record<string, string>): Act;
  /** Why it can't be done now, if so. */
  refused?: (state: State) => string | null;
}

const topics = (state: State) => state.topics.map((topic) => topic.name);
const clients = (state: State) => state.clients.map((client) => client.name);
const of = (role: ClientState["role"]) => (state: State) => state.clients.filter((client) => client.role === role).map((client) => client.name);
const needs = (list: (state: State) => string[], what: string) => (state: State) => (list(state).length > 0 ? null : `There is no ${what} yet.`);
const fresh = (prefix: string) => (state: State) => {
  for (let at = 1; ; at++) if (!state.clients.some((client) => client.name === `${prefix}${at}`)) return `${prefix}${at}`;
};
const number = (name: string, label: string, value: number, least: number, most: number, unit?: string): Field => ({
  name,
  label,
  kind: unit ? { number: [least, most], unit } : { number: [least, most] },
  value: String(value),
});
const client: Field = { name: "client", label: "Client", kind: { choice: clients }, value: "" };

export const ADD: Action[] = [
  {
    label: "topic",
    fields: [{ name: "name", label: "Name", kind: "name", value: (state) => (state.topics.length === 0 ? "orders" : `topic-${state.topics.length + 1}`) }, number("partitions", "Partitions", 4, 1, 64)],
    act: ({ name, partitions }) => ({ topic: { name, partitions: Number(partitions) } }),
  },
  {
    label: "producer",
    fields: [
      { name: "name", label: "Name", kind: "name", value: fresh("p") },
      { name: "topic", label: "Topic", kind: { choice: topics }, value: "" },
      number("every_ms", "Sends every", 500, 0, 600_000, "ms"),
      number("records", "Records at a time", 1, 1, 1000),
      { name: "idempotent", label: "Numbers its requests (idempotent)", kind: "check", value: "" },
    ],
    act: ({ name, topic, every_ms, records, idempotent }) => ({
      producer: { name, topic, every_ms: Number(every_ms), records: Number(records), ...(idempotent ? { idempotent: true } : {}) },
    }),
    refused: needs(topics, "topic"),
  },
  {
    label: "consumer",
    fields: [
      { name: "name", label: "Name", kind: "name", value: fresh("c") },
      { name: "group", label: "Group", kind: "name", value: (state) => state.groups[0]?.name ?? "billing" },
      { name: "topic", label: "Topic", kind: { choice: topics }, value: "" },
      number("poll_ms", "A poll waits for", 10_000, 0, 300_000, "ms"),
      number("process_ms", "Works on a record for", 10, 0, 60_000, "ms"),
      number("session_ms", "Session timeout", 10_000, 1000, 1_800_000, "ms"),
      { name: "commits", label: "Commits by itself after each batch", kind: "check", value: "" },
      { name: "static", label: "Keeps its place (instance_id)", kind: "check", value: "" },
    ],
    act: ({ name, group, topic, poll_ms, process_ms, session_ms, commits, static: keeps }) => ({
      consumer: {
        name,
        group,
        topics: [topic],
        poll_ms: Number(poll_ms),
        process_ms: Number(process_ms),
        session_ms: Number(session_ms),
        ...(commits ? { commits: true } : {}),
        ...(keeps ? { static: true } : {}),
      },
    }),
    refused: needs(topics, "topic"),
  },
  {
    label: "records",
    fields: [{ name: "producer", label: "Producer", kind: { choice: of("producer") }, value: "" }, number("records", "Records", 1, 1, 10_000)],
    act: ({ producer, records }) => ({ produce: { producer, records: Number(records) } }),
    refused: needs(of("producer"), "producer"),
  },
];

export const FAULTS: Action[] = [
  { label: "Kill a client", fields: [client, { name: "vanish", label: "With its machine: no connection breaks", kind: "check", value: "" }], act: ({ client: name, vanish }) => ({ kill: { client: name, ...(vanish ? { vanish: true } : {}) } }), refused: needs(clients, "client") },
  { label: "Start a client again", fields: [client], act: ({ client: name }) => ({ start: { client: name } }), refused: needs(clients, "client") },
  { label: "Say goodbye", fields: [{ name: "consumer", label: "Consumer", kind: { choice: of("consumer") }, value: "" }], act: ({ consumer }) => ({ close: { consumer } }), refused: needs(of("consumer"), "consumer") },
  { label: "Freeze a client", fields: [client, number("ms", "For", 12_000, 1, 3_600_000, "ms")], act: ({ client: name, ms }) => ({ pause: { client: name, ms: Number(ms) } }), refused: needs(clients, "client") },
  { label: "Slow a consumer down", fields: [{ name: "consumer", label: "Consumer", kind: { choice: of("consumer") }, value: "" }, number("process_ms", "Works on a record for", 300, 0, 60_000, "ms")], act: ({ consumer, process_ms }) => ({ processing: { consumer, process_ms: Number(process_ms) } }), refused: needs(of("consumer"), "consumer") },
  { label: "Commit out of turn", fields: [{ name: "consumer", label: "Consumer", kind: { choice: of("consumer") }, value: "" }], act: ({ consumer }) => ({ commit: { consumer } }), refused: needs(of("consumer"), "consumer") },
  { label: "Drop its next request", fields: [client], act: ({ client: name }) => ({ drop_request: { client: name } }), refused: needs(clients, "client") },
  { label: "Delay its next request", fields: [client, number("ms", "By", 1500, 1, 600_000, "ms")], act: ({ client: name, ms }) => ({ delay_request: { client: name, ms: Number(ms) } }), refused: needs(clients, "client") },
  { label: "Send its next request twice", fields: [client], act: ({ client: name }) => ({ duplicate_request: { client: name } }), refused: needs(clients, "client") },
  { label: "Lose its next answer", fields: [client], act: ({ client: name }) => ({ lose_response: { client: name } }), refused: needs(clients, "client") },
  { label: "Crash the broker", fields: [number("down_ms", "It is away for", 1000, 1, 600_000, "ms")], act: ({ down_ms }) => ({ crash: { down_ms: Number(down_ms) } }) },
  { label: "Crash with a torn tail", fields: [number("down_ms", "It is away for", 1000, 1, 600_000, "ms")], act: ({ down_ms }) => ({ crash: { down_ms: Number(down_ms), tail: "torn" } }) },
  { label: "Crash, and the disk lied", fields: [number("down_ms", "It is away for", 1000, 1, 600_000, "ms")], act: ({ down_ms }) => ({ crash: { down_ms: Number(down_ms), tail: "lost" } }) },
  { label: "Fail a sync", fields: [], act: () => "fail_sync" },
  { label: "Fill the disk", fields: [number("ms", "For", 5000, 2, 600_000, "ms")], act: ({ ms }) => ({ fill_disk: { ms: Number(ms) } }) },
  { label: "Slow the disk", fields: [number("by_ms", "By", 200, 1, 60_000, "ms"), number("ms", "For", 5000, 1, 600_000, "ms")], act: ({ by_ms, ms }) => ({ slow_disk: { by_ms: Number(by_ms), ms: Number(ms) } }) },
  { label: "Jump the clock ahead", fields: [number("ms", "By", 30_000, 1, 86_400_000, "ms")], act: ({ ms }) => ({ clock_jump: { ms: Number(ms) } }) },
  { label: "Drop old records", fields: [{ name: "topic", label: "Topic", kind: { choice: topics }, value: "" }, number("partition", "Partition", 0, 0, 63), number("records", "Records", 10, 1, 1_000_000)], act: ({ topic, partition, records }) => ({ trim: { topic, partition: Number(partition), records: Number(records) } }), refused: needs(topics, "topic") },
];

/** Asks what an action has to know, and does it. With nothing to ask it is done at once. */
export function perform(action: Action, player: Player, dialog: HTMLDialogElement): void {
  const { state } = player;
  if (!state) return;
  const refused = action.refused?.(state) ?? null;
  if (refused) return player.say(refused);
  player.pause();
  if (action.fields.length === 0) return void player.act(action.act({}));
  const inputs = action.fields.map((field) => control(field, state));
  const form = h(
    "form",
    { class: "form", method: "dialog" },
    h("h2", {}, action.label.length < 10 ? `New ${action.label}` : action.label),
    ...action.fields.map((field, at) => label(field, inputs[at] as HTMLElement)),
    h("p", { class: "soft" }, "It happens at the cursor. In the past, that makes a branch."),
    h("div", { class: "form-buttons" }, h("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Cancel"), h("button", { class: "button primary", type: "submit" }, "Do it")),
  );
  form.addEventListener("submit", () => {
    const values: Record<string, string> = {};
    action.fields.forEach((field, at) => (values[field.name] = read(inputs[at] as HTMLElement)));
    // Back to where space plays, and does not ask the same again.
    setTimeout(() => document.querySelector<HTMLElement>(".panel:not([hidden]) .workbench")?.focus());
    void player.act(action.act(values)).catch((error: Error) => player.say(error.message));
  });
  fill(dialog, form);
  dialog.showModal();
}

function control(field: Field, state: State): HTMLElement {
  const value = typeof field.value === "function" ? field.value(state) : field.value;
  if (field.kind === "check") return h("input", { type: "checkbox" });
  if (field.kind === "name") return h("input", { class: "field", value, required: true, maxlength: 60, pattern: "[A-Za-z0-9._\\-]+", title: "Letters, digits, dots, dashes and underscores" });
  if ("choice" in field.kind) return h("select", { class: "field" }, ...field.kind.choice(state).map((name) => h("option", {}, name)));
  const [least, most] = field.kind.number;
  return h("input", { class: "field", type: "number", value, min: least, max: most, required: true });
}

function label(field: Field, input: HTMLElement): HTMLElement {
  const unit = typeof field.kind === "object" && "unit" in field.kind ? h("span", { class: "soft" }, field.kind.unit) : null;
  return field.kind === "check" ? h("label", { class: "check" }, input, field.label) : h("label", {}, h("span", {}, field.label), h("span", { class: "with-unit" }, input, unit));
}

function read(input: HTMLElement): string {
  if (input instanceof HTMLInputElement) return input.type === "checkbox" ? (input.checked ? "yes" : "") : input.value.trim();
  return input instanceof HTMLSelectElement ? input.value : "";
}
