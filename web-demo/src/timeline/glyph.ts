/** The signs of the picture. */

import type { Palette } from "./palette";

/** A sign, drawn rather than written: no font has all of them alike. */
export function glyph(context: CanvasRenderingContext2D, palette: Palette, kind: number, cx: number, cy: number, large: boolean): void {
  const r = large ? 6.5 : 5;
  context.lineWidth = 1.75;
  const disc = (fill: string | null, stroke: string | null, radius = r) => {
    context.beginPath();
    context.arc(cx, cy, radius, 0, Math.PI * 2);
    if (fill) {
      context.fillStyle = fill;
      context.fill();
    }
    if (stroke) {
      context.strokeStyle = stroke;
      context.stroke();
    }
  };
  const lines = (colour: string, ...points: [number, number, number, number][]) => {
    context.strokeStyle = colour;
    context.beginPath();
    for (const [fx, fy, tx, ty] of points) {
      context.moveTo(cx + fx * r, cy + fy * r);
      context.lineTo(cx + tx * r, cy + ty * r);
    }
    context.stroke();
  };
  const path = (fill: string | null, stroke: string, ...points: [number, number][]) => {
    context.beginPath();
    points.forEach(([px, py], nth) => (nth === 0 ? context.moveTo(cx + px * r, cy + py * r) : context.lineTo(cx + px * r, cy + py * r)));
    context.closePath();
    if (fill) {
      context.fillStyle = fill;
      context.fill();
    }
    context.strokeStyle = stroke;
    context.stroke();
  };
  const cross = (colour: string) => lines(colour, [-0.8, -0.8, 0.8, 0.8], [0.8, -0.8, -0.8, 0.8]);
  switch (kind) {
    case 0:
      return disc(palette.produce, null, r - 1);
    case 1:
      return path(palette.append, palette.append, [-0.7, -0.7], [0.7, -0.7], [0.7, 0.7], [-0.7, 0.7]);
    case 2:
      disc(palette.surface, palette.wake, r + 1);
      return disc(palette.wake, null, r - 2);
    case 3:
      context.lineWidth = 2.5;
      return cross(palette.fault);
    case 4:
      return path(palette.surface, palette.commit, [0, -1.1], [1.1, 0], [0, 1.1], [-1.1, 0]);
    case 5:
      path(palette.surface, palette.fault, [0, -1.3], [1.3, 1], [-1.3, 1]);
      return lines(palette.fault, [0, -0.5, 0, 0.35], [0, 0.6, 0, 0.75]);
    case 6:
      disc(palette.surface, palette.commit);
      return lines(palette.commit, [-0.6, 0, 0.6, 0], [0, -0.6, 0, 0.6]);
    case 7:
      disc(palette.surface, palette.inkSoft);
      return lines(palette.inkSoft, [-0.6, 0, 0.6, 0]);
    case 8:
      return disc(palette.surface, palette.inkSoft);
    case 9:
      return path(palette.warn, palette.warn, [0.2, -1.2], [-0.8, 0.25], [-0.05, 0.25], [-0.2, 1.2], [0.8, -0.25], [0.05, -0.25]);
    case 10:
      disc(palette.surface, palette.fault);
      return lines(palette.fault, [-0.65, 0.65, 0.65, -0.65]);
    case 11:
      context.lineWidth = 3;
      return cross(palette.fault);
    case 12:
      return path(palette.commit, palette.commit, [-0.7, -1], [1, 0], [-0.7, 1]);
    default:
      disc(palette.surface, palette.wake, r + 1);
      return path(palette.wake, palette.wake, [0.5, -0.6], [-0.6, 0], [0.5, 0.6]);
  }
}
