/** Bands: the generations of a group, who has which partitions in each, and what moved. */

import type { Band } from "../engine/protocol";
import { pale, right, x, type Scene } from "./scene";
import type { Place } from "./layout";
import { memberColour } from "./palette";

/** All bands in the window, each up to the next of its group. */
export function bands(context: CanvasRenderingContext2D, scene: Scene): void {
  const { timeline, byLane, palette } = scene;
  const next = new Map<number, number>();
  for (let at = timeline.bands.length - 1; at >= 0; at--) {
    const band = timeline.bands[at] as Band;
    const until = next.get(band.lane) ?? timeline.end;
    next.set(band.lane, band.t);
    const place = byLane.get(band.lane);
    if (!place || until < scene.left || band.t > right(scene)) continue;
    oneBand(context, scene, band, place, until);
  }
  context.globalAlpha = 1;
  context.strokeStyle = palette.edge;
}

function oneBand(context: CanvasRenderingContext2D, scene: Scene, band: Band, place: Place, until: number): void {
  const { palette } = scene;
  const shown = Math.min(until, Math.max(scene.cursor, band.t));
  const [from, to] = [x(scene, band.t), x(scene, band.t > scene.cursor ? until : shown)];
  const top = place.top - scene.scroll + 3;
  const height = place.height - 6;
  pale(context, scene, band.t);
  const width = Math.max(2, to - from - 2);
  context.save();
  context.beginPath();
  context.roundRect(from, top, width, height, 5);
  context.fillStyle = palette.sunken;
  context.fill();
  context.strokeStyle = palette.edgeStrong;
  context.lineWidth = 1;
  context.stroke();
  context.clip();
  const start = Math.max(from, scene.gutter);
  context.font = `600 11px ${palette.face}`;
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillStyle = palette.ink;
  const title = `g${band.generation}`;
  let at = start + 6;
  if (width > 26) context.fillText(title, at, top + height / 2 + 0.5);
  at += context.measureText(title).width + 8;
  for (const member of band.members) {
    if (at > from + width - 8) break;
    at = share(context, scene, member, at, top + 5, height - 10);
  }
  context.restore();
}

function share(context: CanvasRenderingContext2D, scene: Scene, member: Band["members"][number], at: number, top: number, height: number): number {
  const { palette } = scene;
  const name = `${member.letter ?? "?"}`;
  context.font = `600 11px ${palette.face}`;
  const parts = member.partitions.map((partition) => partition.slice(partition.lastIndexOf("/") + 1));
  if (member.more > 0) parts.push(`+${member.more}`);
  const widths = parts.map((part) => context.measureText(part).width + 8);
  const lead = context.measureText(name).width + 9;
  const width = lead + widths.reduce((sum, one) => sum + one, 0) + (parts.length === 0 ? context.measureText("–").width + 6 : 2);
  context.beginPath();
  context.roundRect(at, top, width, height, 4);
  context.fillStyle = memberColour(palette, member.letter);
  context.fill();
  context.fillStyle = palette.memberInk;
  context.fillText(name, at + 5, top + height / 2 + 0.5);
  context.font = `11px ${palette.face}`;
  let left = at + lead;
  if (parts.length === 0) context.fillText("–", left, top + height / 2 + 0.5);
  parts.forEach((part, nth) => {
    const own = widths[nth] ?? 0;
    if (member.moved.includes(member.partitions[nth] ?? "")) {
      context.strokeStyle = palette.memberInk;
      context.lineWidth = 1.25;
      context.strokeRect(left + 0.5, top + 2.5, own - 2, height - 5);
    }
    context.fillText(part, left + 3.5, top + height / 2 + 0.5);
    left += own;
  });
  return at + width + 4;
}
