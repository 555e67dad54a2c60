/** What is to be drawn, and where things are in it. */

import type { Place } from "./layout";
import type { Palette } from "./palette";
import type { Timeline } from "./timeline";

export interface Scene {
  timeline: Timeline;
  places: Place[];
  byLane: Map<number, Place>;
  /** Where time begins in the picture, and how many pixels a millisecond has. */
  left: number;
  scale: number;
  scroll: number;
  width: number;
  height: number;
  gutter: number;
  cursor: number;
  row: number;
  selected: number | null;
  hovered: number | null;
  chain: { causes: number[]; effects: number[] };
  palette: Palette;
  /** From which moment on this run differs from the one it is compared with. */
  differsFrom: number | null;
}

export function x(scene: Scene, time: number): number {
  return scene.gutter + (time - scene.left) * scene.scale;
}

export function timeAt(scene: Scene, at: number): number {
  return scene.left + (at - scene.gutter) / scene.scale;
}

export function right(scene: Scene): number {
  return timeAt(scene, scene.width);
}

export function middle(scene: Scene, place: Place): number {
  return place.top + place.height / 2 - scene.scroll;
}

/** Whether a lane is above or below what is shown. */
export function isOutside(scene: Scene, place: Place): boolean {
  const top = place.top - scene.scroll;
  return top + place.height < 0 || top > scene.height;
}

/** What has not happened yet at the cursor is pale. */
export function pale(context: CanvasRenderingContext2D, scene: Scene, time: number): void {
  context.globalAlpha = time > scene.cursor ? scene.palette.future : 1;
}
