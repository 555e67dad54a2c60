/** Which lane is drawn where. */

import type { Lane } from "../engine/protocol";

export interface Place {
  lane: number;
  kind: Lane["kind"];
  label: string;
  letter: string | null;
  top: number;
  height: number;
}

const HEIGHT = 27;
const GROUP_HEIGHT = 38;
const GAP = 8;
export const HEAD = 26;
/** Room below the last lane, so that it can be drawn up from under the buttons. */
const FOOT = 40;

/** Producers above, then partitions by name, then each group: its generations and its consumers; the broker last. */
export function layout(lanes: Lane[]): { places: Place[]; byLane: Map<number, Place>; height: number } {
  const named = lanes.map((lane, at) => ({ ...lane, at }));
  const by = (kind: Lane["kind"]) =>
    named.filter((lane) => lane.kind === kind).sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));
  const groups = by("group");
  const consumers = by("consumer");
  const sections = [
    by("producer"),
    by("partition"),
    ...groups.map((group) => [group, ...consumers.filter((consumer) => consumer.of === group.name)]),
    by("broker"),
  ];
  const places: Place[] = [];
  let top = HEAD + 4;
  for (const section of sections) {
    if (section.length === 0) continue;
    for (const { at, kind, name, letter } of section) {
      const height = kind === "group" ? GROUP_HEIGHT : HEIGHT;
      places.push({ lane: at, kind, label: name, letter, top, height });
      top += height;
    }
    top += GAP;
  }
  return { places, byLane: new Map(places.map((place) => [place.lane, place])), height: top + FOOT };
}
