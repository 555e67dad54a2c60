/** The canvas: follows the cursor, is dragged and zoomed, and tells which row one points at. The event list says the same in words. */

import { h } from "../shell/dom";
import { onTheme } from "../shell/theme";
import type { Branch, Player } from "../workbench/player";
import { draw, rowNear } from "./draw";
import { layout } from "./layout";
import { readPalette, type Palette } from "./palette";
import { timeAt, type Scene } from "./scene";
import { clock } from "./timeline";

const ZOOM = 1.3;
const [LEAST, MOST] = [0.0005, 8];

export interface Picture {
  element: HTMLElement;
  zoom(factor: number): void;
  fit(): void;
  /** As an SVG file. */
  scene(): Scene | null;
  redraw(): void;
}

/** `shown` is the branch to draw: the current one, or the one that it is compared with. */
export function picture(player: Player, shown: () => Branch | null, differsFrom: () => number | null): Picture {
  const canvas = h("canvas", { class: "canvas", "aria-hidden": "true" });
  const tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
  const element = h("div", { class: "picture" }, canvas, tip);
  const context = canvas.getContext("2d", { alpha: false });
  let palette: Palette = readPalette();
  let scale = 0.14;
  let left = 0;
  let scroll = 0;
  let follows = true;
  let hovered: number | null = null;
  let asked = false;
  let scene: Scene | null = null;
  let places = layout([]);
  let lanes = 0;

  const gutter = () => (element.clientWidth < 560 ? 84 : 118);

  function redraw(): void {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      paint();
    });
  }

  function paint(): void {
    const branch = shown();
    const [width, height] = [element.clientWidth, element.clientHeight];
    if (!branch || !context || width === 0 || height === 0) return;
    const ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    if (branch.timeline.lanes.length !== lanes || places.places.length === 0) {
      lanes = branch.timeline.lanes.length;
      places = layout(branch.timeline.lanes);
    }
    const window_ = (width - gutter()) / scale;
    if (follows) left = Math.max(-0.02 * window_, player.time - window_ * 0.72);
    scroll = Math.max(0, Math.min(scroll, places.height - height));
    scene = {
      timeline: branch.timeline,
      ...places,
      left,
      scale,
      scroll,
      width,
      height,
      gutter: gutter(),
      cursor: player.time,
      row: branch === player.branch ? player.row : branch.timeline.rowsAt(player.time),
      selected: branch === player.branch ? player.selected : null,
      hovered,
      chain: player.chain,
      palette,
      differsFrom: differsFrom(),
    };
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    draw(context, scene);
  }

  function zoomAt(factor: number, px: number): void {
    if (!scene) return;
    const time = timeAt(scene, px);
    scale = Math.max(LEAST, Math.min(MOST, scale * factor));
    left = time - (px - gutter()) / scale;
    redraw();
  }

  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      if (event.ctrlKey || event.metaKey) return zoomAt(event.deltaY < 0 ? ZOOM : 1 / ZOOM, event.offsetX);
      if (Math.abs(event.deltaY) > Math.abs(event.deltaX) && !event.shiftKey && places.height > element.clientHeight) {
        scroll += event.deltaY;
      } else {
        follows = false;
        left += (event.deltaX || event.deltaY) / scale;
      }
      redraw();
    },
    { passive: false },
  );

  let dragged: { px: number; py: number; left: number; scroll: number; moved: boolean } | null = null;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    dragged = { px: event.offsetX, py: event.offsetY, left, scroll, moved: false };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (dragged) {
      const [dx, dy] = [event.offsetX - dragged.px, event.offsetY - dragged.py];
      if (!dragged.moved && Math.hypot(dx, dy) < 4) return;
      dragged.moved = true;
      follows = false;
      left = dragged.left - dx / scale;
      scroll = dragged.scroll - dy;
      return redraw();
    }
    point(event.offsetX, event.offsetY);
  });
  canvas.addEventListener("pointerup", (event) => {
    const was = dragged;
    dragged = null;
    if (!scene || !was || was.moved) return;
    const row = rowNear(scene, event.offsetX, event.offsetY);
    if (row !== null && shown() === player.branch) return void player.select(row);
    if (event.offsetX > gutter()) {
      void player.select(null);
      player.goToTime(Math.round(timeAt(scene, event.offsetX)));
    }
  });
  canvas.addEventListener("pointercancel", () => (dragged = null));
  canvas.addEventListener("pointerleave", () => point(-1, -1));

  function point(px: number, py: number): void {
    const row = scene && px > 0 ? rowNear(scene, px, py) : null;
    if (row === hovered) return;
    hovered = row;
    const timeline = shown()?.timeline;
    tip.hidden = row === null;
    canvas.classList.toggle("pointing", row !== null);
    if (row !== null && timeline) {
      tip.textContent = `#${row + 1} · ${clock(timeline.time(row))} · ${timeline.texts[row] ?? ""}`;
      const width = element.clientWidth;
      tip.style.left = `${Math.max(8, Math.min(px + 14, width - 308))}px`;
      tip.style.top = `${Math.min(py + 16, element.clientHeight - 60)}px`;
    }
    redraw();
  }

  new ResizeObserver(redraw).observe(element);
  onTheme(() => {
    palette = readPalette();
    redraw();
  });
  player.on("branches", () => {
    follows = true;
    lanes = -1;
  });
  player.on("playing", () => {
    if (player.playing) follows = true;
  });
  player.on("cursor", () => {
    if (!scene || player.playing) return;
    const far = timeAt(scene, scene.width);
    if (player.time < left || player.time > far) follows = true;
  });
  player.on("selection", () => {
    const row = player.selected;
    if (row === null || !scene || shown() !== player.branch) return;
    const time = scene.timeline.time(row);
    if (time < left || time > timeAt(scene, scene.width)) {
      follows = false;
      left = time - (scene.width - scene.gutter) / scale / 2;
    }
  });
  player.on(["rows", "cursor", "selection", "branches"], redraw);

  return {
    element,
    redraw,
    scene: () => scene,
    zoom: (factor) => zoomAt(factor, scene ? gutter() + (scene.width - gutter()) * 0.72 : 0),
    fit() {
      const end = shown()?.timeline.end ?? 0;
      scale = Math.max(LEAST, Math.min(MOST, (element.clientWidth - gutter()) / Math.max(1000, end * 1.04)));
      left = -end * 0.01;
      follows = false;
      redraw();
    },
  };
}

/** Steps of the keys + and -. */
export const ZOOM_STEP = ZOOM;
