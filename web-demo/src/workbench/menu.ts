/** A button that opens a list of things to do. */

import { h } from "../shell/dom";

export interface Menu {
  element: HTMLElement;
  rename(label: string): void;
}

export function menu(label: string, id: string, items: { label: string; run(): void }[]): Menu {
  const name = h("span", {}, label);
  const list = h("ul", { class: "menu-list", id, role: "menu", hidden: true });
  const button = h(
    "button",
    { class: "button", "aria-haspopup": "menu", "aria-expanded": "false", "aria-controls": id, onclick: () => toggle(list.hidden) },
    name,
    h("span", { "aria-hidden": "true" }, "▾"),
  );
  const element = h("div", { class: "menu" }, button, list);
  const buttons = items.map((item) => {
    const one = h("button", { class: "menu-item", role: "menuitem", tabindex: -1 }, item.label);
    one.addEventListener("click", () => {
      toggle(false);
      // To where space plays, and does not open this menu again.
      const bench = element.closest<HTMLElement>(".workbench") ?? document.querySelector<HTMLElement>(".panel:not([hidden]) .workbench");
      (bench ?? button).focus();
      item.run();
    });
    list.append(h("li", { role: "none" }, one));
    return one;
  });

  function toggle(open: boolean): void {
    list.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    if (!open) return;
    const box = button.getBoundingClientRect();
    list.style.left = `${Math.max(8, Math.min(box.left, innerWidth - 268))}px`;
    list.style.top = `${box.bottom + 4}px`;
    list.style.maxHeight = `${innerHeight - box.bottom - 16}px`;
    buttons[0]?.focus();
  }

  element.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const to: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 };
    event.stopPropagation();
    if (event.key === "Escape") {
      toggle(false);
      button.focus();
    } else if (event.key in to) {
      event.preventDefault();
      buttons[((to[event.key] ?? 0) + buttons.length) % buttons.length]?.focus();
    }
  });
  element.addEventListener("focusout", (event) => {
    if (!element.contains(event.relatedTarget as Node | null)) toggle(false);
  });
  return { element, rename: (text) => (name.textContent = text) };
}
