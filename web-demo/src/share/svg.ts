/** The picture as SVG: what the canvas draws, drawn by the same code onto something that writes it down. */

import { draw } from "../timeline/draw";
import type { Scene } from "../timeline/scene";

/** The part of a canvas that the picture is drawn with. */
class Recorder {
  fillStyle = "#000";
  strokeStyle = "#000";
  lineWidth = 1;
  globalAlpha = 1;
  font = "12px sans-serif";
  textAlign = "left";
  textBaseline = "alphabetic";
  readonly out: string[] = [];
  private path: string[] = [];
  private dash: number[] = [];
  private readonly saved: object[] = [];
  private groups: number[] = [0];
  private clips = 0;
  private readonly measure = document.createElement("canvas").getContext("2d");

  save(): void {
    const { fillStyle, strokeStyle, lineWidth, globalAlpha, font, textAlign, textBaseline, dash } = this;
    this.saved.push({ fillStyle, strokeStyle, lineWidth, globalAlpha, font, textAlign, textBaseline, dash });
    this.groups.push(0);
  }
  restore(): void {
    Object.assign(this, this.saved.pop());
    for (let group = this.groups.pop() ?? 0; group > 0; group--) this.out.push("</g>");
  }
  beginPath(): void {
    this.path = [];
  }
  moveTo(x: number, y: number): void {
    this.path.push(`M${n(x)} ${n(y)}`);
  }
  lineTo(x: number, y: number): void {
    this.path.push(`${this.path.length === 0 ? "M" : "L"}${n(x)} ${n(y)}`);
  }
  closePath(): void {
    this.path.push("Z");
  }
  rect(x: number, y: number, w: number, h: number): void {
    this.path.push(`M${n(x)} ${n(y)}h${n(w)}v${n(h)}h${n(-w)}Z`);
  }
  roundRect(x: number, y: number, w: number, h: number, r: number): void {
    const s = Math.max(0, Math.min(r, w / 2, h / 2));
    this.path.push(
      `M${n(x + s)} ${n(y)}h${n(w - 2 * s)}a${n(s)} ${n(s)} 0 0 1 ${n(s)} ${n(s)}v${n(h - 2 * s)}a${n(s)} ${n(s)} 0 0 1 ${n(-s)} ${n(s)}` +
        `h${n(2 * s - w)}a${n(s)} ${n(s)} 0 0 1 ${n(-s)} ${n(-s)}v${n(2 * s - h)}a${n(s)} ${n(s)} 0 0 1 ${n(s)} ${n(-s)}Z`,
    );
  }
  arc(x: number, y: number, r: number, from: number, to: number): void {
    const sweep = Math.min(to - from, Math.PI * 2 - 0.0001);
    const at = (angle: number) => `${n(x + r * Math.cos(angle))} ${n(y + r * Math.sin(angle))}`;
    this.path.push(`${this.path.length === 0 ? "M" : "L"}${at(from)}A${n(r)} ${n(r)} 0 ${sweep > Math.PI ? 1 : 0} 1 ${at(from + sweep)}`);
  }
  clip(): void {
    const id = `c${++this.clips}`;
    this.out.push(`<clipPath id="${id}"><path d="${this.path.join("")}"/></clipPath><g clip-path="url(#${id})">`);
    this.groups[this.groups.length - 1] = (this.groups[this.groups.length - 1] ?? 0) + 1;
  }
  fill(): void {
    this.out.push(`<path d="${this.path.join("")}" fill="${this.fillStyle}"${this.alpha()}/>`);
  }
  stroke(): void {
    const dash = this.dash.length > 0 ? ` stroke-dasharray="${this.dash.join(" ")}"` : "";
    this.out.push(`<path d="${this.path.join("")}" fill="none" stroke="${this.strokeStyle}" stroke-width="${this.lineWidth}"${dash}${this.alpha()}/>`);
  }
  fillRect(x: number, y: number, w: number, h: number): void {
    this.out.push(`<rect x="${n(x)}" y="${n(y)}" width="${n(Math.max(0, w))}" height="${n(Math.max(0, h))}" fill="${this.fillStyle}"${this.alpha()}/>`);
  }
  strokeRect(x: number, y: number, w: number, h: number): void {
    this.out.push(`<rect x="${n(x)}" y="${n(y)}" width="${n(w)}" height="${n(h)}" fill="none" stroke="${this.strokeStyle}" stroke-width="${this.lineWidth}"${this.alpha()}/>`);
  }
  setLineDash(dash: number[]): void {
    this.dash = dash;
  }
  measureText(text: string): { width: number } {
    if (!this.measure) return { width: text.length * 6 };
    this.measure.font = this.font;
    return { width: this.measure.measureText(text).width };
  }
  fillText(text: string, x: number, y: number): void {
    const [, weight, size] = /^(?:(\d+) )?(\d+)px/.exec(this.font) ?? [];
    const anchor = this.textAlign === "center" ? "middle" : this.textAlign === "right" ? "end" : "start";
    const shift = this.textBaseline === "middle" ? 0.35 * Number(size ?? 12) : 0;
    this.out.push(
      `<text x="${n(x)}" y="${n(y + shift)}" font-size="${size ?? 12}"${weight ? ` font-weight="${weight}"` : ""} text-anchor="${anchor}" fill="${this.fillStyle}"${this.alpha()}>${escaped(text)}</text>`,
    );
  }
  private alpha(): string {
    return this.globalAlpha === 1 ? "" : ` opacity="${n(this.globalAlpha)}"`;
  }
}

export function svg(scene: Scene): string {
  const recorder = new Recorder();
  draw(recorder as unknown as CanvasRenderingContext2D, scene);
  const { width, height } = scene;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif">${recorder.out.join("")}</svg>\n`;
}

function n(number: number): string {
  return String(Math.round(number * 100) / 100);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
