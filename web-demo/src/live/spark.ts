/** A trend drawn as a small line. */

import type { Trend } from "./trend";
import { count, span } from "./words";

const SVG = "http://www.w3.org/2000/svg";

export interface Spark {
  element: SVGSVGElement;
  /** Draws it with this moment (of `performance.now`) at the right end. */
  draw(now: number): void;
}

export function spark(trend: Trend, label: string, width: number, height: number): Spark {
  const element = document.createElementNS(SVG, "svg");
  const line = document.createElementNS(SVG, "path");
  element.setAttribute("class", "lv-spark");
  element.setAttribute("viewBox", `0 -2 ${width} ${height + 4}`);
  element.setAttribute("preserveAspectRatio", "none");
  element.setAttribute("height", String(height));
  element.setAttribute("role", "img");
  element.append(line);
  return {
    element,
    draw(now) {
      line.setAttribute("d", trend.path(now, width, height));
      element.setAttribute("aria-label", `${label}: ${count(trend.latest)} now, at most ${count(trend.greatest)} in the last ${span(trend.window(now))}`);
    },
  };
}
