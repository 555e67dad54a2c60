/** The colours of what is drawn, read from the theme's tokens. */

export interface Palette {
  ground: string;
  surface: string;
  sunken: string;
  edge: string;
  edgeStrong: string;
  ink: string;
  inkSoft: string;
  inkFaint: string;
  accent: string;
  produce: string;
  append: string;
  wait: string;
  waitEdge: string;
  wake: string;
  commit: string;
  fault: string;
  warn: string;
  grid: string;
  future: number;
  memberInk: string;
  members: string[];
  face: string;
}

export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string) => style.getPropertyValue(name).trim();
  return {
    ground: token("--ground"),
    surface: token("--surface"),
    sunken: token("--sunken"),
    edge: token("--edge"),
    edgeStrong: token("--edge-strong"),
    ink: token("--ink"),
    inkSoft: token("--ink-soft"),
    inkFaint: token("--ink-faint"),
    accent: token("--accent"),
    produce: token("--produce"),
    append: token("--append"),
    wait: token("--wait"),
    waitEdge: token("--wait-edge"),
    wake: token("--wake"),
    commit: token("--commit"),
    fault: token("--fault"),
    warn: token("--warn"),
    grid: token("--grid"),
    future: Number(token("--future")) || 0.3,
    memberInk: token("--member-ink"),
    members: ["a", "b", "c", "d", "e", "f"].map((letter) => token(`--member-${letter}`)),
    face: token("--face"),
  };
}

/** A member's colour, by its letter. */
export function memberColour(palette: Palette, letter: string | null): string {
  const nth = letter ? letter.charCodeAt(0) - 97 : 0;
  return palette.members[nth % palette.members.length] ?? palette.wait;
}
