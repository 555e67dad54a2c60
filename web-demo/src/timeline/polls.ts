/** Draws polls: thin while they are looked after, bars while they wait, with what is left of their time. */

import { NONE } from "../engine/protocol";
import type { Palette } from "./palette";
import { middle, pale, right, x, type Scene } from "./scene";
import { LOOK_BACK, SPAN, upper } from "./timeline";

type Context = CanvasRenderingContext2D;

export function spans(context: Context, scene: Scene): void {
  const { timeline } = scene;
  const list = timeline.spans;
  const last = upper(list, SPAN, 2, right(scene));
  for (let at = Math.max(0, last - LOOK_BACK); at < last; at++) {
    const to = list.at(at * SPAN + 6);
    if (to !== NONE && to < scene.left) continue;
    poll(context, scene, at);
  }
  context.globalAlpha = 1;
}

/** A poll: thin while it is looked after, a bar while it waits, with what is left of its time. */
function poll(context: Context, scene: Scene, at: number): void {
  const { timeline, palette } = scene;
  const span = timeline.span(at);
  const place = scene.byLane.get(span.lane);
  if (!place) return;
  const y = middle(scene, place);
  const ended = span.to !== null && span.to <= scene.cursor;
  const to = span.to === null ? Math.max(scene.cursor, span.from) : ended || span.from > scene.cursor ? span.to : scene.cursor;
  const [from, until] = [x(scene, span.from), x(scene, to)];
  pale(context, scene, span.from);
  context.strokeStyle = palette.waitEdge;
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(from, y);
  context.lineTo(until, y);
  context.stroke();
  if (span.parked === null || span.parked > Math.max(scene.cursor, span.to ?? 0)) return;
  const left = x(scene, span.parked);
  const width = Math.max(1.5, until - left);
  context.beginPath();
  context.roundRect(left, y - 7, width, 14, Math.min(4, width / 2));
  context.fillStyle = palette.wait;
  context.fill();
  context.lineWidth = 1;
  context.stroke();
  const open = !ended && span.from <= scene.cursor;
  if (width > 70) {
    context.fillStyle = palette.ink;
    context.font = `11px ${palette.face}`;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText("waits", Math.max(left, scene.gutter) + 7, y + 0.5);
  }
  if (!open || span.parked > scene.cursor) return;
  const deadline = x(scene, span.deadline);
  context.setLineDash([2, 4]);
  context.beginPath();
  context.moveTo(until, y);
  context.lineTo(deadline, y);
  context.moveTo(deadline, y - 7);
  context.lineTo(deadline, y + 7);
  context.stroke();
  context.setLineDash([]);
  const whole = Math.max(1, span.deadline - span.from);
  const left2 = Math.max(0, span.deadline - scene.cursor) / whole;
  arc(context, palette, until + 11, y, left2);
}

/** What is left of a deadline, as a part of a disc. */
function arc(context: Context, palette: Palette, cx: number, cy: number, left: number): void {
  context.beginPath();
  context.arc(cx, cy, 7, 0, Math.PI * 2);
  context.fillStyle = palette.surface;
  context.fill();
  context.strokeStyle = palette.waitEdge;
  context.lineWidth = 1.25;
  context.stroke();
  context.beginPath();
  context.moveTo(cx, cy);
  context.arc(cx, cy, 5.5, -Math.PI / 2, -Math.PI / 2 + Math.PI * 2 * left);
  context.closePath();
  context.fillStyle = palette.waitEdge;
  context.fill();
}
