/** The form that writes one record by hand. */

import { h } from "../shell/dom";
import { path, reason } from "./api";
import type { Topic } from "./answers";
import { labelled, type Console } from "./console";
import { parseHeaders } from "./content";
import { choice } from "./create";

export interface Produce {
  element: HTMLElement;
  update(topic: Topic): void;
}

export function produce(at: Console, name: string): Produce {
  const key = h("input", { class: "field", placeholder: "none", autocomplete: "off", spellcheck: "false" });
  const value = h("textarea", { class: "field lv-text", rows: 3, spellcheck: "false" });
  const headers = h("textarea", { class: "field lv-text", rows: 3, placeholder: "name: value", spellcheck: "false" });
  const partition = choice([""], ["as the key decides"]);
  const tombstone = h("input", { type: "checkbox" });
  const base64 = h("input", { type: "checkbox" });
  const send = h("button", { class: "button primary", type: "submit" }, "Send");
  const said = h("p", { class: "lv-said", role: "status" });
  tombstone.addEventListener("change", () => (value.disabled = tombstone.checked));

  const form = h(
    "form",
    { class: "lv-produce" },
    labelled("Key", key),
    labelled("Partition", partition),
    labelled("Value", value),
    labelled("Headers, one a line", headers),
    h(
      "div",
      { class: "lv-row lv-wide" },
      send,
      h("label", { class: "check" }, tombstone, "No value (tombstone)"),
      h("label", { class: "check" }, base64, "The value is base64"),
      said,
    ),
  );

  async function submit(): Promise<void> {
    const list = parseHeaders(headers.value);
    const record = {
      ...(key.value === "" ? {} : { key: key.value }),
      value: tombstone.checked ? null : value.value,
      ...(base64.checked && !tombstone.checked ? { value_encoding: "base64" } : {}),
      ...(list.length > 0 ? { headers_list: list } : {}),
      ...(partition.value === "" ? {} : { partition: Number(partition.value) }),
    };
    const { offsets } = await at.api.send<{ offsets: { partition: number; offset: number }[] }>("POST", path("topics", name, "produce"), { records: [record] });
    const [first] = offsets;
    said.textContent = first ? `It has offset ${first.offset} in partition ${first.partition}.` : "";
    at.refresh();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send.disabled = true;
    said.classList.remove("lv-bad");
    submit()
      .catch((error: unknown) => {
        said.textContent = `${reason(error)}.`;
        said.classList.add("lv-bad");
      })
      .finally(() => (send.disabled = false));
  });

  return {
    element: h("details", { class: "lv-block" }, h("summary", {}, "Produce a record"), form),
    update(topic) {
      for (let nth = partition.options.length - 1; nth < topic.partitions; nth++) partition.append(h("option", { value: nth }, nth));
    },
  };
}
