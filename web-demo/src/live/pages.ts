/** Long tables, a page at a time: however many rows there are, a look at them costs the same. */

import { h } from "../shell/dom";
import { say, type Keyed } from "./keyed";
import { count } from "./words";

/** Rows of a page. */
export const PAGE_ROWS = 100;

export class Pages<T> {
  /** The buttons that turn pages; hidden where one page has all. */
  readonly element: HTMLElement;
  private items: T[] = [];
  private first = 0;
  private readonly said = h("span", { class: "soft", role: "status" });
  private readonly previous: HTMLButtonElement;
  private readonly next: HTMLButtonElement;

  /** `what` is what a row stands for, in the plural. */
  constructor(
    private readonly rows: Keyed<T>,
    what: string,
  ) {
    this.previous = h("button", { class: "button", "aria-label": `Previous ${what}`, onclick: () => this.turn(-PAGE_ROWS) }, "‹ Previous");
    this.next = h("button", { class: "button", "aria-label": `Next ${what}`, onclick: () => this.turn(PAGE_ROWS) }, "Next ›");
    this.element = h("div", { class: "lv-pages", hidden: true }, this.previous, this.next, this.said);
  }

  show(items: T[]): void {
    this.items = items;
    this.turn(0);
  }

  private turn(by: number): void {
    const { items } = this;
    this.first = Math.max(0, Math.min(this.first + by, Math.floor((items.length - 1) / PAGE_ROWS) * PAGE_ROWS));
    const last = Math.min(items.length, this.first + PAGE_ROWS);
    this.rows.show(items.slice(this.first, last));
    this.element.hidden = items.length <= PAGE_ROWS;
    this.previous.disabled = this.first === 0;
    this.next.disabled = last === items.length;
    say(this.said, `${count(this.first + 1)} to ${count(last)} of ${count(items.length)}`);
  }
}
