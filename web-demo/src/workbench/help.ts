/** Keys, and what the signs mean. */

import { h } from "../shell/dom";
import { glyph } from "../timeline/glyph";
import { readPalette } from "../timeline/palette";
import { GLYPHS } from "../timeline/timeline";

const KEYS: [string, string][] = [
  ["space", "play, pause; in a scenario the next step"],
  ["← →", "one event back, on; with shift ten; with alt in the same lane"],
  ["home end", "to the beginning, to the end"],
  ["[ ]", "to the cause, to the effect"],
  ["n N", "to the next, the last broken promise"],
  ["x", "to the next expiry or new generation"],
  ["/", "filter events"],
  ["f b", "fork here; the next branch"],
  ["o s", "open a trace; share this run"],
  ["+ - 0", "closer, farther, all of it"],
  ["1 2 3 4", "world, picture, why, events"],
  ["? esc", "this; choose nothing"],
];

export function helpDialog(): HTMLDialogElement {
  const signs = h("ul", { class: "signs" });
  const close = h("button", { class: "button", onclick: () => dialog.close() }, "Close");
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": "help-title" },
    h("h2", { id: "help-title" }, "Keys and signs"),
    h("dl", { class: "keys" }, ...KEYS.flatMap(([keys, text]) => [h("dt", {}, ...keys.split(" ").map((key) => h("kbd", {}, key))), h("dd", {}, text)])),
    signs,
    h("p", { class: "soft" }, "A bar is a poll that waits; the disc at its end is the time that it has left. A band is a generation of a group: who has which partitions, those that moved in a frame."),
    close,
  );
  dialog.addEventListener("toggle", () => {
    signs.replaceChildren(...GLYPHS.map(({ name }, kind) => h("li", {}, drawn(kind), name)));
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  return dialog;
}

function drawn(kind: number): HTMLElement {
  const canvas = h("canvas", { width: 40, height: 40, class: "sign", "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  if (context) {
    context.scale(2, 2);
    glyph(context, readPalette(), kind, 10, 10, false);
  }
  return canvas;
}
