/** A topic: its partitions with their offsets, its settings, its records, and a form to write one. */

import { h } from "../shell/dom";
import { path } from "./api";
import type { PartitionOffsets, Topic } from "./answers";
import { table, type Console, type Detail } from "./console";
import { Keyed, say } from "./keyed";
import { messages } from "./messages";
import { Pages } from "./pages";
import { produce } from "./produce";
import { count, many, setting, settingName } from "./words";

export function topicDetail(at: Console, name: string): Detail {
  const about = h("p", { class: "soft" }, "…");
  const parts = table("Partitions and their offsets", ["Partition", "Start", "End", "Records"]);
  const records = messages(at, name);
  const writer = produce(at, name);
  const keyed = new Keyed<PartitionOffsets>(parts.body, (one) => String(one.partition), partitionRow);
  const pages = new Pages(keyed, "partitions");
  const settings = h("dl", { class: "lv-settings" });

  function partitionRow(one: PartitionOffsets) {
    const cells = [h("td"), h("td"), h("td")] as const;
    const button = h("button", { class: "button", "aria-label": `Read partition ${one.partition}`, onclick: () => records.partition(one.partition) }, one.partition);
    return {
      element: h("tr", {}, h("th", { scope: "row" }, button), ...cells),
      update({ start, end }: PartitionOffsets) {
        say(cells[0], count(start));
        say(cells[1], count(end));
        say(cells[2], count(end - start));
      },
    };
  }

  function update(topic: Topic): void {
    const total = topic.offsets.reduce((sum, { start, end }) => sum + end - start, 0);
    say(about, `${many(topic.partitions, "partition")} · ${many(total, "record")}`);
    pages.show(topic.offsets);
    const shown = Object.entries(topic).filter(([key]) => !["name", "partitions", "offsets"].includes(key));
    const flat = shown.map(([key, value]) => `${key}=${String(value)}`).join();
    if (settings.dataset["shown"] !== flat) {
      settings.dataset["shown"] = flat;
      settings.replaceChildren(...shown.map(([key, value]) => h("div", {}, h("dt", { title: key }, settingName(key)), h("dd", {}, setting(key, value)))));
    }
    writer.update(topic);
    records.update(topic);
  }

  return {
    element: h(
      "article",
      { class: "lv-detail", "aria-label": `Topic ${name}` },
      h("div", { class: "lv-title" }, h("h2", {}, name), about),
      h("div", { class: "lv-split" }, h("section", { class: "lv-block", "aria-label": "Partitions" }, h("h3", {}, "Partitions"), pages.element, parts.element), h("section", { class: "lv-block", "aria-label": "Settings" }, h("h3", {}, "Settings"), settings)),
      writer.element,
      records.element,
    ),
    async refresh() {
      update((await at.api.get<Topic>(path("topics", name))).body);
    },
    shown: (now) => records.shown(now),
  };
}
