/** The dialog that sets a group's committed offsets: first what would change, then the change. */

import { fill, h } from "../shell/dom";
import { path } from "./api";
import type { Group, OffsetChange } from "./answers";
import { ask, table, type Console } from "./console";
import { choice } from "./create";
import { count, many } from "./words";

const TO = {
  earliest: "the earliest record",
  latest: "the log's end",
  time: "the first record at or after a time",
  by: "so many records from the committed offset",
  offset: "an offset",
} as const;

export function resetOffsets(at: Console, group: Group): void {
  const to = choice(Object.keys(TO), Object.values(TO));
  const number = h("input", { class: "field", type: "number", value: -10, "aria-label": "How many, or which" });
  const time = h("input", { class: "field", type: "datetime-local", step: 1, "aria-label": "Time" });
  const value = h("label", { hidden: true }, h("span", {}, "Which"), h("span", { class: "with-unit" }, number, time));
  const committed = [...new Set(group.partitions.filter((one) => one.committed !== null).map((one) => one.topic))];
  const topics = [...new Set([...committed, ...at.topics().map((topic) => topic.name)])];
  const topic = choice([...(committed.length > 0 ? [""] : []), ...topics], [...(committed.length > 0 ? ["all with a committed offset"] : []), ...topics]);
  const plan = h("div", { "aria-live": "polite" });
  const members = group.members.length + (group.manual?.length ?? 0);
  const warning = members > 0 ? h("p", { class: "message" }, `${many(members, "consumer")} ${members === 1 ? "is" : "are"} in the group. Offsets can be set only when nobody is: close ${members === 1 ? "it" : "them"} first.`) : null;
  /** The request whose outcome is shown, as text; what is done has to be the same. */
  let planned = "";

  const changed = () => {
    value.hidden = to.value === "earliest" || to.value === "latest";
    number.hidden = to.value === "time";
    time.hidden = to.value !== "time";
    if (planned === "") return;
    planned = "";
    fill(plan);
    button.textContent = "Show what would change";
  };

  function request(): Record<string, unknown> {
    const which = topic.value === "" ? {} : { topics: [topic.value] };
    if (to.value === "time") {
      const ms = new Date(time.value).getTime();
      if (Number.isNaN(ms)) throw new Error("Say which time");
      return { timestamp_ms: Math.max(0, ms), ...which };
    }
    return to.value === "by" || to.value === "offset" ? { [to.value]: Number(number.value), ...which } : { to: to.value, ...which };
  }

  const { button } = ask(
    `Reset the offsets of ${group.group_id}`,
    [h("label", {}, "To", to), value, h("label", {}, "Of", topic), warning, plan],
    "Show what would change",
    async () => {
      const wanted = request();
      const dry = planned !== JSON.stringify(wanted);
      const answer = await at.api.send<{ offsets: OffsetChange[] }>("PUT", path("consumer-groups", group.group_id, "offsets"), { ...wanted, dry_run: dry });
      if (dry) {
        planned = answer.offsets.length > 0 ? JSON.stringify(wanted) : "";
        show(answer.offsets);
        return false;
      }
      at.announce(`The offsets of ${group.group_id} are set.`);
      at.refresh();
      return true;
    },
  );
  for (const field of [to, topic, number, time]) field.addEventListener("input", changed);

  function show(offsets: OffsetChange[]): void {
    if (offsets.length === 0) return fill(plan, h("p", { class: "message" }, "Nothing would change: no partition has a committed offset."));
    const changes = table("What would change", ["Partition", "Now", "Then", "By"]);
    for (const { topic: of, partition, before, after } of offsets) {
      const by = before === null || after === null ? "–" : `${after > before ? "+" : ""}${count(after - before)}`;
      changes.body.append(h("tr", {}, h("th", { scope: "row" }, `${of}/${partition}`), h("td", {}, before === null ? "none" : count(before)), h("td", {}, count(after)), h("td", {}, by)));
    }
    fill(plan, changes.element);
    button.textContent = `Set ${many(offsets.length, "offset")}`;
  }
}
