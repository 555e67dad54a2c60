/**
 * Draws the space–time picture: lanes from top to bottom, time from left to right.
 *
 * What has not happened yet at the cursor is pale. With a row chosen, its chain of causes and effects is lit. Only what is in
 * the window is looked at; where marks would lie on one another, bars say how many there are.
 */

import { NONE } from "../engine/protocol";
import { bands } from "./bands";
import { glyph } from "./glyph";
import { HEAD } from "./layout";
import { memberColour } from "./palette";
import { spans } from "./polls";
import { isOutside, middle, pale, right, timeAt, x, type Scene } from "./scene";
import { ARROW, clock, Flag, LOOK_BACK, MARK, ROW, upper } from "./timeline";

type Context = CanvasRenderingContext2D;

/** Marks per pixel above which bars are drawn. */
const DENSE = 4;
/** How far marks stand beside their lane that would lie on one another. */
const BESIDE = [0, -9, 9];

export function draw(context: Context, scene: Scene): void {
  const { width, height, palette, gutter } = scene;
  context.fillStyle = palette.surface;
  context.fillRect(0, 0, width, height);
  context.save();
  context.beginPath();
  context.rect(gutter, 0, width - gutter, height);
  context.clip();
  lanes(context, scene);
  grid(context, scene);
  context.save();
  context.beginPath();
  context.rect(gutter, HEAD, width - gutter, height - HEAD);
  context.clip();
  if (scene.differsFrom !== null) hatch(context, scene, scene.differsFrom);
  bands(context, scene);
  spans(context, scene);
  violations(context, scene);
  const dense = isDense(scene);
  if (dense) density(context, scene);
  else {
    arrows(context, scene);
    marks(context, scene);
  }
  chain(context, scene);
  context.restore();
  cursor(context, scene);
  context.restore();
  labels(context, scene);
}

function lanes(context: Context, scene: Scene): void {
  const { palette } = scene;
  for (const place of scene.places) {
    const y = place.top - scene.scroll;
    if (place.kind === "group" || isOutside(scene, place)) continue;
    context.strokeStyle = palette.grid;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(scene.gutter, Math.round(y + place.height / 2) + 0.5);
    context.lineTo(scene.width, Math.round(y + place.height / 2) + 0.5);
    context.stroke();
  }
}

/** A round distance between two lines of the grid. */
export function gridStep(scale: number): number {
  const least = 90 / scale;
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least) ?? 10 * power;
}

function grid(context: Context, scene: Scene): void {
  const { palette } = scene;
  const step = gridStep(scene.scale);
  context.font = `11px ${palette.face}`;
  context.textBaseline = "middle";
  context.textAlign = "left";
  for (let time = Math.max(0, Math.floor(scene.left / step) * step); time < right(scene); time += step) {
    const at = Math.round(x(scene, time)) + 0.5;
    context.strokeStyle = palette.grid;
    context.beginPath();
    context.moveTo(at, HEAD);
    context.lineTo(at, scene.height);
    context.stroke();
    context.fillStyle = palette.inkFaint;
    context.fillText(step < 1000 ? `${Math.round(time)} ms` : clock(time).replace(/\.0+(?= s|$)/, ""), at + 4, HEAD / 2);
  }
  context.strokeStyle = palette.edge;
  context.beginPath();
  context.moveTo(scene.gutter, HEAD - 0.5);
  context.lineTo(scene.width, HEAD - 0.5);
  context.stroke();
}

function hatch(context: Context, scene: Scene, from: number): void {
  const [left, far] = [Math.max(scene.gutter, x(scene, from)), scene.width];
  if (left >= far) return;
  context.save();
  context.beginPath();
  context.rect(left, HEAD, far - left, scene.height);
  context.clip();
  context.strokeStyle = scene.palette.edge;
  context.lineWidth = 1;
  context.beginPath();
  for (let at = left - scene.height; at < far; at += 9) {
    context.moveTo(at, scene.height);
    context.lineTo(at + scene.height, 0);
  }
  context.stroke();
  context.restore();
}

function isDense(scene: Scene): boolean {
  const { timeline } = scene;
  const events = timeline.rowsAt(right(scene)) - timeline.rowsAt(Math.max(0, scene.left - 1));
  return events > DENSE * Math.max(1, scene.width - scene.gutter);
}

function density(context: Context, scene: Scene): void {
  const { timeline, palette } = scene;
  const counts = new Map<number, Uint16Array>();
  const columns = Math.ceil((scene.width - scene.gutter) / 2);
  for (let row = timeline.rowsAt(scene.left); row < timeline.count && timeline.time(row) < right(scene); row++) {
    const lane = timeline.lane(row);
    if (lane === null) continue;
    let own = counts.get(lane);
    if (!own) counts.set(lane, (own = new Uint16Array(columns)));
    const column = Math.floor((x(scene, timeline.time(row)) - scene.gutter) / 2);
    own[column] = (own[column] ?? 0) + 1;
  }
  context.fillStyle = palette.append;
  for (const [lane, own] of counts) {
    const place = scene.byLane.get(lane);
    if (!place) continue;
    const most = own.reduce((one, other) => Math.max(one, other), 1);
    own.forEach((count, column) => {
      const height = (count / most) * (place.height - 8);
      context.fillRect(scene.gutter + column * 2, middle(scene, place) + (place.height - 8) / 2 - height, 2, height);
    });
  }
}

function arrows(context: Context, scene: Scene): void {
  const { timeline, palette } = scene;
  const list = timeline.arrows;
  const last = upper(list, ARROW, 2, right(scene) + 2000);
  for (let at = Math.max(0, last - LOOK_BACK); at < last; at++) {
    const i = at * ARROW;
    const to = list.at(i + 2);
    if (to < scene.left) continue;
    const [from, target] = [scene.byLane.get(list.at(i + 1)), scene.byLane.get(list.at(i + 3))];
    if (!from || !target) continue;
    const lit = isLit(scene, list.at(i + 4));
    context.globalAlpha = (to > scene.cursor ? palette.future : 1) * (scene.selected !== null && !lit ? 0.25 : 0.75);
    if (lit) context.globalAlpha = 1;
    const colour = list.at(i + 5) === 0 ? palette.produce : palette.wake;
    arrow(context, x(scene, list.at(i)), middle(scene, from), x(scene, to), middle(scene, target), colour, lit ? 2.5 : 1.25);
  }
  context.globalAlpha = 1;
}

function arrow(context: Context, fx: number, fy: number, tx: number, ty: number, colour: string, width: number): void {
  const angle = Math.atan2(ty - fy, tx - fx);
  const [ex, ey] = [tx - Math.cos(angle) * 7, ty - Math.sin(angle) * 7];
  context.strokeStyle = colour;
  context.fillStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  context.moveTo(fx, fy);
  context.lineTo(ex, ey);
  context.stroke();
  context.beginPath();
  context.moveTo(ex, ey);
  context.lineTo(ex - Math.cos(angle - 0.45) * 7, ey - Math.sin(angle - 0.45) * 7);
  context.lineTo(ex - Math.cos(angle + 0.45) * 7, ey - Math.sin(angle + 0.45) * 7);
  context.fill();
}

function isLit(scene: Scene, row: number): boolean {
  return row === scene.selected || scene.chain.causes.includes(row) || scene.chain.effects.includes(row);
}

function marks(context: Context, scene: Scene): void {
  const { timeline } = scene;
  const list = timeline.marks;
  const first = upper(list, MARK, 1, scene.left - 20 / scene.scale);
  /** Where the last mark of each lane is, and how far beside the lane: marks that would lie on one another stand beside it. */
  const last = new Map<number, { px: number; beside: number }>();
  for (let i = first * MARK; i < list.length; i += MARK) {
    const time = list.at(i + 1);
    if (time > right(scene)) break;
    const place = scene.byLane.get(list.at(i + 2));
    if (!place || (place.kind === "group" && list.at(i + 3) === 6)) continue;
    const row = list.at(i);
    const lit = isLit(scene, row);
    pale(context, scene, row >= scene.row ? Infinity : 0);
    if (scene.selected !== null && !lit) context.globalAlpha *= 0.55;
    const px = x(scene, time);
    const before = last.get(place.lane);
    const beside = before && px - before.px < 11 ? BESIDE[(BESIDE.indexOf(before.beside) + 1) % BESIDE.length] ?? 0 : 0;
    last.set(place.lane, { px, beside });
    glyph(context, scene.palette, list.at(i + 3), px, middle(scene, place) + beside, lit || row === scene.hovered);
  }
  context.globalAlpha = 1;
}

function violations(context: Context, scene: Scene): void {
  const { timeline, palette } = scene;
  for (const [row] of timeline.about?.violations ?? []) {
    const at = x(scene, timeline.time(row));
    context.strokeStyle = palette.fault;
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(at, HEAD);
    context.lineTo(at, scene.height);
    context.stroke();
  }
}

/** From cause to effect, along the lanes. */
function chain(context: Context, scene: Scene): void {
  const { selected, timeline, palette } = scene;
  if (selected === null) return;
  const points = [...scene.chain.causes, selected].map((row) => point(scene, row)).filter((one) => one !== null);
  context.strokeStyle = palette.accent;
  context.lineWidth = 2;
  context.setLineDash([5, 4]);
  context.beginPath();
  points.forEach(([px, py], nth) => (nth === 0 ? context.moveTo(px, py) : context.lineTo(px, py)));
  context.stroke();
  context.setLineDash([]);
  const own = point(scene, selected);
  const at = own?.[0] ?? x(scene, timeline.time(selected));
  context.lineWidth = 2.5;
  context.beginPath();
  context.arc(at, own?.[1] ?? HEAD + 8, 11, 0, Math.PI * 2);
  context.stroke();
}

function point(scene: Scene, row: number): [number, number] | null {
  const lane = scene.timeline.rows.at(row * ROW + 2);
  const place = lane === NONE ? null : scene.byLane.get(lane);
  return place ? [x(scene, scene.timeline.time(row)), middle(scene, place)] : null;
}

function cursor(context: Context, scene: Scene): void {
  const at = Math.round(x(scene, scene.cursor)) + 0.5;
  const { palette } = scene;
  context.strokeStyle = palette.accent;
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(at, HEAD - 6);
  context.lineTo(at, scene.height);
  context.stroke();
  context.fillStyle = palette.accent;
  context.beginPath();
  context.moveTo(at - 6, HEAD - 12);
  context.lineTo(at + 6, HEAD - 12);
  context.lineTo(at, HEAD - 2);
  context.fill();
}

function labels(context: Context, scene: Scene): void {
  const { palette, gutter, height } = scene;
  context.fillStyle = palette.surface;
  context.fillRect(0, 0, gutter, height);
  context.fillStyle = palette.edge;
  context.fillRect(gutter - 1, 0, 1, height);
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.save();
  context.beginPath();
  context.rect(0, HEAD, gutter, height);
  context.clip();
  for (const place of scene.places) {
    if (isOutside(scene, place)) continue;
    const y = middle(scene, place);
    let at = 12;
    if (place.kind === "consumer") {
      context.fillStyle = memberColour(palette, place.letter);
      context.beginPath();
      context.roundRect(at, y - 8, 16, 16, 4);
      context.fill();
      context.fillStyle = palette.memberInk;
      context.font = `600 11px ${palette.face}`;
      context.textAlign = "center";
      context.fillText(place.letter ?? "?", at + 8, y + 0.5);
      context.textAlign = "left";
      at += 22;
    }
    context.font = `${place.kind === "group" ? "650 " : ""}12px ${palette.face}`;
    context.fillStyle = place.kind === "partition" || place.kind === "broker" ? palette.inkSoft : palette.ink;
    context.fillText(fitted(context, place.label, gutter - at - 8), at, y + 0.5);
  }
  context.restore();
}

function fitted(context: Context, text: string, width: number): string {
  if (context.measureText(text).width <= width) return text;
  let shorter = text;
  while (shorter.length > 1 && context.measureText(`${shorter}…`).width > width) shorter = shorter.slice(0, -1);
  return `${shorter}…`;
}

/** The row whose mark is nearest to a place, within 12 pixels. */
export function rowNear(scene: Scene, px: number, py: number): number | null {
  const { timeline } = scene;
  const list = timeline.marks;
  const reach = 12 / scene.scale;
  const time = timeAt(scene, px);
  let [best, found] = [12 * 12, null as number | null];
  for (let i = upper(list, MARK, 1, time - reach) * MARK; i < list.length; i += MARK) {
    const at = list.at(i + 1);
    if (at > time + reach) break;
    const place = scene.byLane.get(list.at(i + 2));
    if (!place) continue;
    const distance = (x(scene, at) - px) ** 2 + (middle(scene, place) - py) ** 2;
    if (distance <= best) [best, found] = [distance, list.at(i)];
  }
  return found;
}

export const VIOLATED = Flag.violated | Flag.diverged;
