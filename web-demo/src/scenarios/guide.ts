/** The guide: plays a scenario to its next step, stops there, and says what one sees. */

import type { Shell } from "../shell/shell";
import { fill, h } from "../shell/dom";
import type { Player } from "../workbench/player";
import { SCENARIOS, type Scenario } from "./scenarios";

export interface Guide {
  /** Begins a scenario, and plays to its first step. */
  start(scenario: Scenario): Promise<void>;
  /** Leaves it: the run stays. */
  leave(): void;
  /** Goes on to the next step; whether there was one to go to. */
  next(): boolean;
  readonly scenario: Scenario | null;
}

export function guide(player: Player, place: HTMLElement, shell: Shell, chosen: (scenario: Scenario | null) => void): Guide {
  let scenario: Scenario | null = null;
  /** How many steps have been reached. */
  let reached = 0;
  let letter = "A";

  function show(): void {
    if (!scenario) return place.replaceChildren();
    const { steps, title, about } = scenario;
    const step = steps[reached - 1];
    const done = reached >= steps.length;
    const following = SCENARIOS[SCENARIOS.indexOf(scenario) + 1];
    const text = step ? step.text : about;
    fill(
      place,
      h(
        "div",
        { class: "caption", role: "group", "aria-label": `Scenario: ${title}` },
        h("p", { class: "caption-title" }, h("b", {}, title), h("span", { class: "soft" }, ` ${Math.max(1, reached)} of ${steps.length}`)),
        h("p", { class: "caption-text" }, text),
        h(
          "div",
          { class: "caption-buttons" },
          player.playing
            ? h("span", { class: "soft" }, "playing …")
            : done
              ? following
                ? h("button", { class: "button primary", onclick: () => void guide_.start(following) }, `Next: ${following.title}`)
                : null
              : h("button", { class: "button primary", onclick: () => guide_.next() }, "Go on", h("kbd", {}, "space")),
          done && !player.playing ? h("button", { class: "button", onclick: () => player.play() }, "Keep playing") : null,
          reached > 1 && !player.playing ? h("button", { class: "button quiet", onclick: back }, "Back") : null,
          h("button", { class: "button quiet", onclick: () => guide_.leave() }, "Try things"),
        ),
      ),
    );
  }

  function back(): void {
    if (!scenario) return;
    reached = Math.max(1, reached - 1);
    player.stopAt = null;
    player.goToTime(scenario.steps[reached - 1]?.until ?? 0);
    show();
  }

  function arrive(): void {
    if (!scenario) return;
    if (player.playing) {
      // However it was made to play, a step ends where it is to be looked at.
      if (player.branch?.letter === letter) player.stopAt ??= scenario.steps[reached]?.until ?? null;
      return show();
    }
    const step = scenario.steps[reached];
    if (step && player.time >= step.until && player.branch?.letter === letter) {
      reached++;
      shell.announce(step.text);
    }
    show();
  }

  const guide_: Guide = {
    get scenario() {
      return scenario;
    },
    async start(next) {
      await player.simulate(next.seed, next.inputs);
      scenario = next;
      reached = 0;
      letter = "A";
      chosen(next);
      show();
      this.next();
    },
    leave() {
      scenario = null;
      player.stopAt = null;
      chosen(null);
      show();
    },
    next() {
      const step = scenario?.steps[reached];
      if (!step || player.playing || player.branch?.letter !== letter) return false;
      player.stopAt = step.until;
      if (player.time >= step.until) {
        arrive();
        return true;
      }
      player.play();
      return true;
    },
  };
  player.on("playing", arrive);
  return guide_;
}
