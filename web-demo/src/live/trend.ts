/** How a figure went in the last minutes: samples of a bounded time, and their line. */

/** How long samples are kept and shown. */
export const WINDOW_MS = 300_000;
/** At first less is shown, but no less than this. */
const SHORTEST_MS = 30_000;
/** Samples farther apart than this were not taken one after the other: the line breaks. */
const GAP_MS = 6_000;

interface Sample {
  at: number;
  value: number;
}

export class Trend {
  private samples: Sample[] = [];

  /** Times only go on; an earlier one is left out. */
  add(at: number, value: number): void {
    const last = this.samples.at(-1);
    if (last && at <= last.at) return;
    this.samples.push({ at, value });
    const kept = this.samples.findIndex((sample) => sample.at > at - WINDOW_MS);
    if (kept > 0) this.samples.splice(0, kept);
  }

  get latest(): number | null {
    return this.samples.at(-1)?.value ?? null;
  }

  get greatest(): number {
    return this.samples.reduce((most, { value }) => Math.max(most, value), 0);
  }

  /** By how much it changed in a second, over the last 30 seconds; null with less than two samples in them. */
  perSecond(): number | null {
    const last = this.samples.at(-1);
    const first = last && this.samples.find((sample) => sample.at >= last.at - 30_000);
    if (!last || !first || first === last) return null;
    return ((last.value - first.value) * 1000) / (last.at - first.at);
  }

  /** The time that is shown at this moment: back to the first sample, within bounds. */
  window(now: number): number {
    const first = this.samples[0]?.at ?? now;
    return Math.min(WINDOW_MS, Math.max(SHORTEST_MS, now - first));
  }

  /** The line as an SVG path, `width` for the whole window with `now` at its right end, 0 at the bottom. */
  path(now: number, width: number, height: number): string {
    const top = Math.max(1, this.greatest);
    const window = this.window(now);
    let previous = -Infinity;
    let out = "";
    for (const { at, value } of this.samples) {
      const x = width - ((now - at) / window) * width;
      if (x >= 0) out += `${at - previous > GAP_MS ? "M" : "L"}${x.toFixed(1)} ${(height - (value / top) * height).toFixed(1)}`;
      previous = at;
    }
    return out;
  }
}

/** `falls by 12 a second`, or that it stays. */
export function direction(perSecond: number | null): string {
  if (perSecond === null) return "";
  const amount = Math.abs(perSecond);
  if (amount < 0.05) return "steady";
  return `${perSecond > 0 ? "grows" : "falls"} by ${amount < 10 ? amount.toFixed(1) : Math.round(amount)} a second`;
}
