/** What the parts of the console share: the API, what is chosen, and a few ways to show things. */

import { h, type Child } from "../shell/dom";
import { reason, type Api } from "./api";
import type { Topic } from "./answers";

/** What the right side shows. */
export interface Chosen {
  kind: "topic" | "group";
  name: string;
}

export interface Console {
  api: Api;
  /** The topics as last heard. */
  topics(): Topic[];
  choose(chosen: Chosen | null): void;
  /** Asks for everything in view anew. */
  refresh(): void;
  announce(text: string): void;
}

/** What is shown of one topic or group. */
export interface Detail {
  element: HTMLElement;
  /** Asks for what it shows. Called once a second while it is looked at. */
  refresh(): Promise<void>;
  /** It is looked at, or no longer. */
  shown(now: boolean): void;
}

/** A field with its label above it. */
export function labelled(label: string, field: HTMLElement, attributes: Record<string, string> = {}): HTMLLabelElement {
  return h("label", { class: "lv-label", ...attributes }, h("span", {}, label), field);
}

/** A table with a caption for those who can't see it; rows go into `body`. It scrolls by itself. The first `texts` columns are texts, the others figures. */
export function table(caption: string, columns: string[], texts = 1): { element: HTMLElement; body: HTMLTableSectionElement } {
  const body = h("tbody");
  const head = columns.map((column) => h("th", { scope: "col" }, column));
  const element = h("table", { class: "lv-table", "data-text": texts }, h("caption", { class: "visually-hidden" }, caption), h("thead", {}, h("tr", {}, ...head)), body);
  return { element: h("div", { class: "lv-scroll", tabindex: 0, role: "region", "aria-label": caption }, element), body };
}

/** A dialog with a form. `submit` does it: what it throws is said in the dialog, else the dialog closes if it returns true. */
export function ask(title: string, fields: Child[], button: string, submit: () => Promise<boolean>): { dialog: HTMLDialogElement; button: HTMLButtonElement } {
  const said = h("p", { class: "message bad", role: "alert", hidden: true });
  const go = h("button", { class: "button primary", type: "submit" }, button);
  const cancel = h("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Cancel");
  const form = h("form", { class: "form" }, h("h2", { id: "lv-dialog-title" }, title), ...fields, said, h("div", { class: "form-buttons" }, cancel, go));
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "lv-dialog-title" }, form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go.disabled = true;
    said.hidden = true;
    submit()
      .then((done) => done && dialog.close())
      .catch((error: unknown) => {
        said.textContent = `${reason(error)}.`;
        said.hidden = false;
      })
      .finally(() => (go.disabled = false));
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, button: go };
}
