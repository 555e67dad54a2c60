/** The field for an API key: there once the server wants one, or has been given one. */

import { h } from "../shell/dom";
import type { Api } from "./api";

export interface KeyForm {
  element: HTMLElement;
  /** Opens the form. */
  button: HTMLElement;
  /** The server answered 401. */
  needed(): void;
  /** The server took what it got. */
  fine(): void;
}

/** `changed` is told when another key is used, or none. */
export function keyForm(api: Api, changed: () => void): KeyForm {
  let tried = api.hasKey;
  const field = h("input", { class: "field", type: "password", autocomplete: "off", spellcheck: "false", placeholder: "takhin_…" });
  const said = h("p", {}, "");
  const forget = h("button", { class: "button", type: "button", onclick: () => take("") }, "Forget it");
  const element = h(
    "form",
    { class: "lv-credential", hidden: true },
    said,
    h("div", { class: "lv-row" }, h("label", { class: "check" }, "API key", field), h("button", { class: "button primary", type: "submit" }, "Use it"), forget),
    h("p", { class: "soft" }, "It is kept in this tab until it is closed, and sent to this server only."),
  );
  const button = h("button", { class: "button", "aria-expanded": "false", hidden: !api.hasKey, onclick: () => open(element.hidden) }, "API key");

  function open(shown: boolean): void {
    element.hidden = !shown;
    button.setAttribute("aria-expanded", String(shown));
    if (shown) field.focus();
  }

  function take(key: string): void {
    api.use(key);
    tried = key !== "";
    field.value = "";
    open(false);
    changed();
  }

  element.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim()) take(field.value);
  });
  return {
    element,
    button,
    needed() {
      button.hidden = false;
      forget.hidden = !api.hasKey;
      said.textContent = tried ? "The server does not take this key." : "The server wants an API key.";
      if (element.hidden) open(true);
    },
    fine() {
      button.hidden = !api.hasKey;
      forget.hidden = !api.hasKey;
      said.textContent = "";
      if (!api.hasKey && !element.hidden) open(false);
    },
  };
}
