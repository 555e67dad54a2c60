/** The theme: the system's, until one is chosen; the choice is remembered in this browser. */

export type Theme = "light" | "dark";

const KEY = "takhin.theme";
const listeners = new Set<() => void>();

export function startTheme(): void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  apply(chosen() ?? (system.matches ? "dark" : "light"));
  system.addEventListener("change", () => {
    if (!chosen()) apply(system.matches ? "dark" : "light");
  });
}

export function theme(): Theme {
  return document.documentElement.dataset["theme"] === "dark" ? "dark" : "light";
}

export function toggleTheme(): void {
  const next = theme() === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // A browser that keeps nothing still shows the theme until it is closed.
  }
  apply(next);
}

/** Calls back after each change: what is drawn has to be drawn anew. */
export function onTheme(listener: () => void): void {
  listeners.add(listener);
}

function chosen(): Theme | null {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "dark" || kept === "light" ? kept : null;
  } catch {
    return null;
  }
}

function apply(next: Theme): void {
  document.documentElement.dataset["theme"] = next;
  for (const listener of listeners) listener();
}
