/** Under the picture: the overview of the whole run, and the buttons that move through it. */

import { h } from "../shell/dom";
import { icon, type IconName } from "../shell/icon";
import { onTheme } from "../shell/theme";
import { readPalette } from "../timeline/palette";
import { clock, Flag } from "../timeline/timeline";
import { VIOLATED } from "../timeline/draw";
import { SPEEDS, type Player } from "./player";

export function transport(player: Player): HTMLElement {
  const button = (label: string, sign: IconName, act: () => void) => h("button", { class: "button", "aria-label": label, title: label, onclick: act }, icon(sign));
  const play = h("button", { class: "button primary play", onclick: () => player.toggle() });
  const where = h("output", { class: "where" });
  const speed = h("select", { class: "field", "aria-label": "Speed" }, ...SPEEDS.map((one) => h("option", { value: one, selected: one === 1 }, `${one}×`)));
  const branch = h("select", { class: "field", "aria-label": "Branch" });
  const slider = h("input", { type: "range", class: "slider", min: 0, max: 1, value: 0, step: 1, "aria-label": "Event" });
  const marks = h("canvas", { class: "marks", "aria-hidden": "true" });

  speed.addEventListener("change", () => (player.speed = Number(speed.value)));
  branch.addEventListener("change", () => player.switchTo(Number(branch.value)));
  slider.addEventListener("input", () => player.goTo(Number(slider.value)));

  const show = () => {
    const { timeline } = player;
    if (!timeline) return;
    const label = player.playing ? "Pause" : "Play";
    if (play.dataset["sign"] !== label) play.replaceChildren(icon(player.playing ? "pause" : "play"));
    play.dataset["sign"] = label;
    play.setAttribute("aria-label", label);
    play.title = `${label} (space)`;
    where.textContent = `${clock(player.time)} · event ${player.row}/${timeline.count}`;
    slider.max = String(Math.max(1, timeline.count));
    slider.value = String(player.row);
    slider.setAttribute("aria-valuetext", where.textContent);
    speed.value = String(player.speed);
  };
  const showBranches = () => {
    branch.replaceChildren(
      ...player.branches.map((one, at) => {
        const from = one.fork ? ` from ${one.fork.from} #${one.fork.row}` : "";
        return h("option", { value: at, selected: at === player.current }, `branch ${one.letter}${from}`);
      }),
    );
    branch.hidden = player.recorded;
  };
  let asked = false;
  const paint = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      paintOverview(marks, player);
    });
  };
  marks.addEventListener("pointerdown", (event) => {
    const seek = (moved: PointerEvent) => player.goToTime(((moved.clientX - marks.getBoundingClientRect().left) / marks.clientWidth) * (player.timeline?.end ?? 0));
    marks.setPointerCapture(event.pointerId);
    seek(event);
    const move = (moved: PointerEvent) => seek(moved);
    marks.addEventListener("pointermove", move);
    marks.addEventListener("pointerup", () => marks.removeEventListener("pointermove", move), { once: true });
  });
  new ResizeObserver(paint).observe(marks);
  onTheme(paint);
  player.on(["rows", "cursor", "playing", "branches"], show);
  player.on(["rows", "cursor", "branches"], paint);
  player.on("branches", showBranches);

  return h(
    "section",
    { class: "transport", "aria-label": "Time" },
    marks,
    h(
      "div",
      { class: "buttons" },
      button("To the beginning (home)", "first", () => player.goTo(0)),
      button("One event back (←)", "back", () => void player.step(-1)),
      play,
      button("One event on (→)", "on", () => void player.step(1)),
      button("To the end (end)", "last", () => player.goTo(Infinity)),
      slider,
      where,
      speed,
      branch,
    ),
  );
}

/** Lag as an area, appends as bars, and what stands out as flags: the whole run in one strip. */
function paintOverview(canvas: HTMLCanvasElement, player: Player): void {
  const { timeline } = player;
  const context = canvas.getContext("2d");
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!timeline || !context || width === 0) return;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const palette = readPalette();
  const end = Math.max(1, timeline.end);
  const columns = Math.max(1, Math.floor(width / 3));
  const [lags, appends] = [new Float64Array(columns), new Float64Array(columns)];
  const flagged: [number, string][] = [];
  const appended = player.kinds.indexOf("appended");
  for (let row = 0; row < timeline.count; row++) {
    const column = Math.min(columns - 1, Math.floor((timeline.time(row) / end) * columns));
    lags[column] = Math.max(lags[column] ?? 0, timeline.lag(row));
    if (timeline.kind(row) === appended) appends[column] = (appends[column] ?? 0) + 1;
    const flags = timeline.flags(row);
    if (flags & VIOLATED) flagged.push([timeline.time(row), palette.fault]);
    else if (flags & Flag.expired) flagged.push([timeline.time(row), palette.fault]);
    else if (flags & Flag.rebalanced) flagged.push([timeline.time(row), palette.commit]);
  }
  const base = height - 14;
  const mostLag = Math.max(1, ...lags);
  const mostAppends = Math.max(1, ...appends);
  context.fillStyle = palette.sunken;
  context.fillRect(0, 0, width, base);
  context.fillStyle = palette.append;
  appends.forEach((count, at) => context.fillRect(at * 3, base - (count / mostAppends) * base * 0.45, 2, (count / mostAppends) * base * 0.45));
  context.beginPath();
  context.moveTo(0, base);
  lags.forEach((lag, at) => context.lineTo(at * 3 + 1.5, base - (lag / mostLag) * (base - 4)));
  context.strokeStyle = palette.warn;
  context.lineWidth = 1.5;
  context.stroke();
  for (const [time, colour] of flagged) {
    const at = (time / end) * width;
    context.fillStyle = colour;
    context.fillRect(at - 1, 0, 2, base);
  }
  context.font = `10px ${palette.face}`;
  context.textBaseline = "alphabetic";
  context.fillStyle = palette.inkFaint;
  context.fillText(`lag, up to ${mostLag === 1 ? Math.max(0, ...lags) : mostLag} records`, 2, height - 2);
  context.textAlign = "right";
  context.fillText(`appends   generations   expiries   ${clock(timeline.end)}`, width - 2, height - 2);
  context.textAlign = "left";
  const at = (player.time / end) * width;
  context.fillStyle = palette.accent;
  context.fillRect(Math.min(width - 2, at - 1), 0, 2, base);
}
