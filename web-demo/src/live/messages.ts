/** The records of a partition: where to begin, which of them, page by page, or the end as it grows. */

import { h } from "../shell/dom";
import { aborted, Away, path, reason } from "./api";
import type { Message, PartitionOffsets, Topic } from "./answers";
import { labelled, type Console } from "./console";
import { matches } from "./content";
import { choice } from "./create";
import { Keyed, say } from "./keyed";
import { messageRow } from "./message";
import { follow, readStretch } from "./reader";
import { count, many } from "./words";

/** How many records a page has, and how many it looks through for a text. */
const PAGE = 100;
const LOOKED_THROUGH = 10_000;
/** A tail keeps this many records on the page. */
const KEPT = 500;

export interface Messages {
  element: HTMLElement;
  update(topic: Topic): void;
  /** Shows this partition. */
  partition(partition: number): void;
  shown(now: boolean): void;
}

export function messages(at: Console, name: string): Messages {
  let offsets: PartitionOffsets[] = [];
  let records: Message[] = [];
  let [from, next, seen] = [0, 0, 0];
  let loaded = false;
  let tailing = false;
  let looked = true;
  let giveUp = new AbortController();

  const partition = choice([]);
  partition.setAttribute("aria-label", "Partition");
  const where = choice(["latest", "offset", "time", "earliest"], ["the latest", "an offset", "a time", "the earliest"]);
  const offset = h("input", { class: "field", type: "number", min: 0, value: 0, "aria-label": "Offset", hidden: true });
  const time = h("input", { class: "field", type: "datetime-local", step: 1, "aria-label": "Time", hidden: true });
  const text = h("input", { class: "field", type: "search", placeholder: "in key or value", autocomplete: "off" });
  const tail = h("button", { class: "button", type: "button", "aria-pressed": "false", onclick: () => setTail(!tailing) }, "Live tail");
  const older = h("button", { class: "button", type: "button", onclick: () => void load(Math.max(bounds().start, from - stride())) }, "Older");
  const newer = h("button", { class: "button", type: "button", onclick: () => void load(next) }, "Newer");
  const said = h("p", { class: "lv-said", role: "status" });
  const list = h("ul", { class: "lv-messages", "aria-label": "Records" });
  const keyed = new Keyed<Message>(list, (record) => String(record.offset), (record) => ({ element: messageRow(record), update: () => undefined }));
  const form = h(
    "form",
    { class: "lv-controls" },
    labelled("Partition", partition),
    labelled("From", h("span", { class: "lv-row" }, where, offset, time)),
    labelled("With the text", text),
    h("div", { class: "lv-row" }, h("button", { class: "button", type: "submit" }, "Read"), older, newer, tail),
  );

  const bounds = (): PartitionOffsets => offsets[Number(partition.value)] ?? { partition: 0, start: 0, end: 0 };
  const stride = () => (text.value ? LOOKED_THROUGH : PAGE);

  where.addEventListener("change", () => {
    offset.hidden = where.value !== "offset";
    time.hidden = where.value !== "time";
  });
  partition.addEventListener("change", () => {
    if (where.value === "offset") where.value = "latest";
    offset.hidden = where.value !== "offset";
    void begin();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    setTail(false);
    void begin();
  });

  async function begin(): Promise<void> {
    records = [];
    keyed.show([]);
    if (tailing) return startTail();
    try {
      await load(await beginning());
    } catch (error) {
      failed(error);
    }
  }

  async function beginning(): Promise<number> {
    const { start, end } = bounds();
    if (where.value === "earliest") return start;
    if (where.value === "offset") return Math.min(Math.max(Number(offset.value), start), end);
    if (where.value === "time") {
      const ms = new Date(time.value).getTime();
      if (Number.isNaN(ms)) throw new Error("Say which time");
      const { body } = await at.api.get<{ offset: number | null; end: number }>(`${path("topics", name, "partitions", partition.value, "offsets")}?timestamp_ms=${Math.max(0, ms)}`);
      return body.offset ?? body.end;
    }
    return Math.max(start, end - stride());
  }

  /** Reads a page from an offset on, in place of what is shown. */
  async function load(begins: number): Promise<void> {
    setTail(false);
    giveUp.abort();
    giveUp = new AbortController();
    const { signal } = giveUp;
    list.setAttribute("aria-busy", "true");
    try {
      const { end } = bounds();
      const got = await readStretch(at.api, name, Number(partition.value), begins, Math.min(end, begins + stride()), text.value, PAGE * 5, signal);
      ({ records, seen, next } = got);
      from = begins;
      loaded = true;
      keyed.show(records);
      list.scrollTop = where.value === "latest" ? list.scrollHeight : 0;
      tell();
    } catch (error) {
      failed(error);
    } finally {
      if (!signal.aborted) list.removeAttribute("aria-busy");
    }
  }

  function failed(error: unknown): void {
    if (aborted(error)) return;
    say(said, error instanceof Away ? "The server is away." : `${reason(error)}.`);
  }

  function tell(): void {
    const { start, end } = bounds();
    older.disabled = !loaded || from <= start;
    newer.disabled = !loaded || tailing || next >= end;
    if (tailing) return;
    const which = text.value ? `${many(records.length, "match", "matches")} in ` : "";
    const stretch = seen === 0 ? "no records" : `${many(seen, "record")}, offsets ${count(from)} to ${count(next - 1)}`;
    const all = end === start ? "The partition is empty." : `The partition goes from ${count(start)} to ${count(end - 1)}.`;
    if (loaded) say(said, `${which}${stretch}. ${all}`);
  }

  function setTail(on: boolean): void {
    if (on === tailing) return;
    tailing = on;
    tail.setAttribute("aria-pressed", String(on));
    giveUp.abort();
    if (on) {
      at.announce("Live tail: new records appear as they come.");
      records = [];
      keyed.show([]);
      seen = 0;
      void startTail();
    } else tell();
  }

  /** Goes on with a tail; one that shows nothing yet begins with the last few records. */
  async function startTail(): Promise<void> {
    giveUp.abort();
    giveUp = new AbortController();
    const { signal } = giveUp;
    list.removeAttribute("aria-busy");
    if (records.length === 0) next = Math.max(bounds().start, bounds().end - 20);
    loaded = true;
    say(said, "Waiting for records …");
    tell();
    while (tailing && looked && !signal.aborted) {
      try {
        await follow(at.api, name, Number(partition.value), next, KEPT, () => bounds().end, arrived, signal);
      } catch (error) {
        failed(error);
        await new Promise((done) => setTimeout(done, 2000));
      }
    }
  }

  function arrived(more: Message[], upTo: number, leftOut: number): void {
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    next = upTo;
    seen += more.length;
    records = [...records, ...more.filter((record) => matches(record, text.value))].slice(-KEPT);
    from = records[0]?.offset ?? next;
    keyed.show(records);
    if (atEnd) list.scrollTop = list.scrollHeight;
    say(said, `Live: ${many(seen, "record")} so far${leftOut > 0 ? `; ${count(leftOut)} came too fast and were left out` : ""}. Next offset ${count(next)}.`);
  }

  return {
    element: h("section", { class: "lv-block", "aria-label": "Records" }, h("h3", {}, "Records"), form, said, list),
    update(topic) {
      const grown = topic.offsets.length !== offsets.length;
      const first = offsets.length === 0;
      ({ offsets } = topic);
      if (grown) {
        const kept = partition.value;
        partition.replaceChildren(...offsets.map((one) => h("option", { value: one.partition }, one.partition)));
        if (kept) partition.value = kept;
      }
      if (!first) return tell();
      // The one with the most in it is the one that is worth a look.
      const most = offsets.reduce((best, one) => (one.end - one.start > best.end - best.start ? one : best), offsets[0] ?? { partition: 0, start: 0, end: 0 });
      partition.value = String(most.partition);
      void begin();
    },
    partition(nth) {
      partition.value = String(nth);
      where.value = "latest";
      offset.hidden = time.hidden = true;
      void begin();
    },
    shown(now) {
      looked = now;
      if (!now) giveUp.abort();
      else if (tailing) void startTail();
    },
  };
}
