/** The rebalances of a group that the page has seen, newest first; what happened between two looks is counted, not told. */

import type { Group, LastRebalance } from "./answers";

/** How many are kept. */
const KEPT = 50;

export interface Rebalance {
  generation: number;
  at: number | null;
  why: LastRebalance | null;
  /** How many generations went by unseen just before this one. */
  unseen: number;
}

export class Rebalances {
  readonly seen: Rebalance[] = [];

  /** Looks at the group as it is now; whether a rebalance has been added. */
  look({ generation, last_rebalance, last_rebalance_at }: Pick<Group, "generation" | "last_rebalance" | "last_rebalance_at">): boolean {
    const [last] = this.seen;
    if (last?.generation === generation || (generation === 0 && !last)) return false;
    // A lower generation is another group of that name: nothing is known of what was between them.
    const unseen = last && generation > last.generation ? generation - last.generation - 1 : 0;
    this.seen.unshift({ generation, at: last_rebalance_at, why: last_rebalance, unseen });
    this.seen.length = Math.min(this.seen.length, KEPT);
    return true;
  }
}
