/** The dialog that makes a topic. */

import { h } from "../shell/dom";
import type { Topic } from "./answers";
import { ask, type Console } from "./console";

export function createTopic(at: Console): void {
  const field = (type: string, value: string, more: Record<string, string | number | boolean> = {}) => h("input", { class: "field", type, value, ...more });
  const name = field("text", at.topics().length === 0 ? "orders" : "", { required: true, maxlength: 249, pattern: "[A-Za-z0-9._\\-]+", title: "A to Z, a to z, 0 to 9, . _ and -", autocomplete: "off", spellcheck: "false" });
  const partitions = field("number", "3", { min: 1, max: 10_000, required: true });
  const hours = field("number", "", { min: 0, step: "any", placeholder: "for ever" });
  const cleanup = choice(["delete", "compact", "both"]);
  const compression = choice(["none", "gzip", "snappy", "lz4", "zstd"]);
  const row = (label: string, input: HTMLElement, unit?: string) => h("label", {}, label, h("span", { class: "with-unit" }, input, unit ? h("span", { class: "soft" }, unit) : null));
  ask(
    "Create a topic",
    [row("Name", name), row("Partitions", partitions), row("Keep records for", hours, "hours"), row("Cleanup", cleanup), row("Compression", compression)],
    "Create",
    async () => {
      const settings = { cleanup: cleanup.value, compression: compression.value, ...(hours.value ? { retention_ms: Math.round(Number(hours.value) * 3_600_000) } : {}) };
      const made = await at.api.send<Topic>("POST", "/api/topics", { name: name.value, partitions: Number(partitions.value), ...settings });
      at.announce(`The topic ${made.name} is there.`);
      at.choose({ kind: "topic", name: made.name });
      return true;
    },
  );
}

/** A choice of these; the first is taken. */
export function choice(values: string[], labels: string[] = values): HTMLSelectElement {
  return h("select", { class: "field" }, ...values.map((value, nth) => h("option", { value }, labels[nth])));
}
