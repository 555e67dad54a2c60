/** What can be taken away: the scenario, the trace, the picture, a test, and the command that replays a trace. */

import type { Player } from "../workbench/player";
import { download } from "../workbench/workbench";
import { svg } from "./svg";
import type { Scene } from "../timeline/scene";

export interface Export {
  name: string;
  run(player: Player, scene: Scene | null): Promise<string>;
}

/** Each gives a sentence that says what was done. */
export const EXPORTS: Export[] = [
  {
    name: "Scenario (JSON)",
    async run(player) {
      download("takhin-scenario.json", JSON.stringify({ seed: player.seed, inputs: await player.inputs() }, null, 1), "application/json");
      return "The scenario is saved: open it here again.";
    },
  },
  {
    name: "Trace (JSON Lines)",
    async run(player) {
      download("takhin-trace.jsonl", await player.trace(), "application/jsonl");
      return "The trace is saved: `takhin replay takhin-trace.jsonl` replays it.";
    },
  },
  {
    name: "Picture (SVG)",
    async run(_player, scene) {
      if (!scene) return "There is no picture yet.";
      download("takhin.svg", svg(scene), "image/svg+xml");
      return "The picture is saved.";
    },
  },
  {
    name: "Copy as test",
    async run(player) {
      await navigator.clipboard.writeText(await rustTest(player));
      return "The test is copied: it belongs to runtime-wasm/tests.";
    },
  },
  {
    name: "Copy replay command",
    async run(player) {
      await navigator.clipboard.writeText(replayCommand(player));
      return "The command is copied.";
    },
  },
];

export async function rustTest(player: Player): Promise<string> {
  const about = player.timeline?.about;
  const inputs = (await player.inputs()).map((input) => `        ${JSON.stringify(input)}`).join(",\n");
  return `#[test]
fn a_run_from_the_page() {
    let inputs = r#"[
${inputs}
    ]"#;
    let mut run = takhin_wasm::Run::from_inputs(${player.seed}, inputs).expect("inputs");
    run.advance(${about?.now ?? 0}, takhin_wasm::MAX_ROWS);
    assert_eq!(run.digest(), "${about?.digest ?? ""}");
}
`;
}

export function replayCommand(player: Player): string {
  const about = player.timeline?.about;
  const simulated = about?.recorded && about.seed ? `  # or: takhin simulate --seed ${about.seed} --runs 1` : "";
  return `takhin replay takhin-trace.jsonl${simulated}`;
}
