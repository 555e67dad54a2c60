/** One record in a list: a line that opens to all that is in it. */

import { h } from "../shell/dom";
import type { Message } from "./answers";
import { dump, fromBase64, preview, prettyJson } from "./content";
import { clock } from "./words";

export function messageRow(message: Message): HTMLElement {
  const cell = (name: string, text: string, none = false) => h("span", { class: none ? `${name} soft` : name }, text);
  const line = h(
    "button",
    { class: "lv-message", "aria-expanded": "false", onclick: () => toggle() },
    cell("lv-offset", String(message.offset)),
    cell("lv-time soft", clock(message.timestamp)),
    cell("lv-key", preview(message.key, message.key_encoding), message.key === null),
    cell("lv-value", message.value === null ? "no value (tombstone)" : preview(message.value, message.value_encoding), message.value === null),
  );
  const element = h("li", {}, line);
  let details: HTMLElement | null = null;

  function toggle(): void {
    if (details) details.hidden = !details.hidden;
    else element.append((details = detailsOf(message)));
    line.setAttribute("aria-expanded", String(!details.hidden));
  }
  return element;
}

function detailsOf(message: Message): HTMLElement {
  const headers = message.headers_list ?? Object.entries(message.headers).map(([key, value]) => ({ key, value, encoding: undefined }));
  const said = h("span", { role: "status", class: "soft" });
  const copy = (what: string, text: string) =>
    h("button", { class: "button", onclick: () => void navigator.clipboard.writeText(text).then(() => (said.textContent = `The ${what} is copied.`), () => (said.textContent = "The browser does not let the page copy.")) }, `Copy ${what}`);
  return h(
    "div",
    { class: "lv-details" },
    h(
      "dl",
      { class: "lv-facts" },
      h("dt", {}, "Place"),
      h("dd", {}, `${message.topic}/${message.partition} at offset ${message.offset}`),
      h("dt", {}, "Time"),
      h("dd", {}, `${new Date(message.timestamp).toISOString()} (${message.timestamp})`),
      ...headers.flatMap(({ key, value, encoding }, nth) => [h("dt", {}, nth === 0 ? "Headers" : ""), h("dd", { class: "lv-mono" }, `${key}: ${value}${encoding === "base64" ? " (base64)" : ""}`)]),
    ),
    ...content("Key", message.key, message.key_encoding),
    ...content("Value", message.value, message.value_encoding),
    h(
      "div",
      { class: "lv-row" },
      message.value === null ? null : copy("value", message.value),
      copy("record", JSON.stringify(message)),
      said,
    ),
  );
}

function content(title: string, text: string | null, encoding: string | undefined): HTMLElement[] {
  const heading = (about: string) => h("h4", {}, title, h("span", { class: "soft" }, ` · ${about}`));
  if (text === null) return [heading("none")];
  if (encoding === "base64") {
    const bytes = fromBase64(text);
    return [heading(`${bytes.length} bytes`), h("pre", { tabindex: 0 }, dump(bytes)), h("pre", { tabindex: 0, "aria-label": `${title} in base64` }, text)];
  }
  const json = prettyJson(text);
  return [heading(`${json ? "JSON" : "text"}, ${new TextEncoder().encode(text).length} bytes`), h("pre", { tabindex: 0 }, json ?? text)];
}
