/** The tab simulate: the production core in this browser, with clients, a network and a disk around it. */

import { h } from "../shell/dom";
import type { Shell, View } from "../shell/shell";
import { EXPORTS } from "../share/exports";
import { decode, encode, LONGEST } from "../share/link";
import { guide, type Guide } from "../scenarios/guide";
import { SCENARIOS, type Scenario } from "../scenarios/scenarios";
import { menu } from "../workbench/menu";
import { Player } from "../workbench/player";
import { untilMenu } from "../workbench/until";
import { download, workbench, type Workbench } from "../workbench/workbench";
import type { Input } from "../engine/protocol";
import { ADD, FAULTS, perform } from "./actions";

export interface SimulateView extends View {
  key(event: KeyboardEvent): boolean;
  /** Opens what a scenario file has in it. */
  openScenario(text: string): void;
}

export function simulateView(): SimulateView {
  const player = new Player();
  let bench: Workbench | null = null;
  let guided: Guide | null = null;
  let share: () => Promise<void> = async () => {};

  return {
    mount(panel, shell) {
      bench = workbench(player, shell, "simulate");
      const dialog = h("dialog", { class: "dialog" });
      panel.append(bench.element, dialog);
      const title = menu("Scenario", "scenario-menu", [
        ...SCENARIOS.map((scenario) => ({ label: scenario.title, run: () => void guided?.start(scenario) })),
        { label: "An empty world", run: () => void empty() },
      ]);
      guided = guide(player, bench.caption, shell, (scenario) => title.rename(scenario ? scenario.title : "Scenario"));
      const halt = h("input", { type: "checkbox", checked: true });
      halt.addEventListener("change", () => (player.halt = halt.checked));
      const about = h("span", { class: "about" });
      player.on(["branches", "rows"], () => {
        about.textContent = `seed ${player.seed} · core ${player.version}`;
        about.title = `Digest of all that the core did: ${player.timeline?.about?.digest ?? ""}`;
      });
      bench.toolbar.append(
        title.element,
        ...ADD.map((action) => h("button", { class: "button", onclick: () => perform(action, player, dialog) }, `+ ${action.label}`)),
        menu("Fault", "fault-menu", FAULTS.map((action) => ({ label: action.label, run: () => perform(action, player, dialog) }))).element,
        untilMenu(player).element,
        h("label", { class: "check halt" }, halt, "halt on ⚠"),
        h("span", { class: "spacer" }),
        about,
      );
      const { picture } = bench;
      share = () => shareRun(player, guided, shell);
      shell.actions("simulate").append(
        h("button", { class: "button", onclick: () => void share(), title: "Share this run as a link (s)" }, "Share"),
        menu("Export", "export-menu", EXPORTS.map((one) => ({ label: one.name, run: () => void exported(one) }))).element,
      );
      async function exported(one: (typeof EXPORTS)[number]): Promise<void> {
        try {
          player.say(await one.run(player, picture.scene()));
        } catch (error) {
          player.say(`That did not work: ${error instanceof Error ? error.message : String(error)}.`, true);
        }
      }
      void begin();
    },
    hide: () => player.pause(),
    key(event) {
      if (event.key === "s") return void share(), true;
      if (event.key === " " && guided?.scenario && !player.playing && guided.next()) return true;
      return bench?.key(event) ?? false;
    },
    openScenario(text) {
      void openFile(text);
    },
  };

  /** The link's run, or the first scenario. */
  async function begin(): Promise<void> {
    const hash = location.hash.slice(1);
    if (!/^v\d+\./.test(hash)) return guided?.start(SCENARIOS[0] as Scenario);
    try {
      const shared = await decode(hash);
      await player.simulate(shared.seed, shared.inputs);
      await goOnTo(shared.time);
      player.say("This run came with the link. Everything in it can be changed.");
    } catch (error) {
      await empty();
      player.say(`This link can't be opened: ${error instanceof Error ? error.message : String(error)}. Here is an empty world.`, true);
    }
  }

  async function openFile(text: string): Promise<void> {
    try {
      const file = JSON.parse(text) as { seed?: unknown; inputs?: unknown };
      if (!Array.isArray(file.inputs)) throw new Error("it has no inputs");
      guided?.leave();
      const inputs = file.inputs as Input[];
      await player.simulate(String(file.seed ?? "42"), inputs);
      await goOnTo((inputs.at(-1)?.t ?? 0) + 1000);
      player.say("The scenario is open.");
    } catch (error) {
      player.say(`This scenario can't be opened: ${error instanceof Error ? error.message : String(error)}.`, true);
    }
  }

  async function goOnTo(time: number): Promise<void> {
    await player.make({ matches: "kind:none" }, time);
    player.goToTime(time);
  }

  async function empty(): Promise<void> {
    guided?.leave();
    await player.simulate("42", []);
  }
}

async function shareRun(player: Player, guided: Guide | null, shell: Shell): Promise<void> {
  const inputs = (await player.inputs()).filter((input) => input.t <= (player.timeline?.end ?? 0));
  const shared = { seed: player.seed, inputs, time: Math.round(player.time), scenario: guided?.scenario?.id ?? null };
  const hash = await encode(shared);
  const link = `${location.origin}${location.pathname}#${hash}`;
  if (link.length > LONGEST) {
    download("takhin-scenario.json", JSON.stringify({ seed: player.seed, inputs }, null, 1), "application/json");
    player.say("This run is too long for a link. It is saved as a file instead, to be opened here.");
    return;
  }
  history.replaceState(null, "", `#${hash}`);
  try {
    await navigator.clipboard.writeText(link);
    player.say("The link is copied: it holds the whole run.");
  } catch {
    player.say("The link is in the address bar: it holds the whole run.");
  }
  shell.announce(player.notice);
}
