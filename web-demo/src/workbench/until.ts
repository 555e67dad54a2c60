/** Run until something holds. */

import type { Stop } from "../engine/protocol";
import { menu, type Menu } from "./menu";
import type { Player } from "./player";

const STOPS: [label: string, stop: Stop][] = [
  ["somebody wakes", "woke"],
  ["a consumer expires", "expired"],
  ["a new generation", "rebalanced"],
  ["something is refused", { matches: "kind:refused" }],
  ["lag over 10", { lag_above: 10 }],
  ["lag over 100", { lag_above: 100 }],
  ["member c2 does something", { matches: "client:c2" }],
  ["a promise is broken", "violation"],
];

export function untilMenu(player: Player): Menu {
  const items = STOPS.map(([label, stop]) => ({ label, run: () => void player.runUntil(stop, label) }));
  const own = {
    label: "what the event filter says",
    run: () => {
      const filter = document.querySelector<HTMLInputElement>(".panel:not([hidden]) .filter")?.value.trim() ?? "";
      if (filter === "") player.say("The event filter, below, is empty.");
      else void player.runUntil({ matches: filter }, filter);
    },
  };
  return menu("Run until", "until-menu", [...items, own]);
}
