/** The guided scenarios, in the order in which they are offered. Each is a file in `web-demo/scenarios`. */

import type { Input } from "../engine/protocol";

export interface Scenario {
  id: string;
  title: string;
  /** What it is about, in a sentence or two. */
  about: string;
  seed: string;
  inputs: Input[];
  /** Each step plays until a moment, and then says something. */
  steps: { until: number; text: string }[];
}

const files = import.meta.glob<Scenario>(["../../scenarios/*.json", "!../../scenarios/index.json"], { eager: true, import: "default" });
import order from "../../scenarios/index.json";

export const SCENARIOS: Scenario[] = order.map((id) => {
  const found = files[`../../scenarios/${id}.json`];
  if (!found) throw new Error(`there is no scenario ${id}`);
  return found;
});
