/**
 * The page's frame: the bar at the top with the tabs simulate, replay and live, and one panel for each.
 *
 * A tab is a `View`; it is mounted when it is first shown, and told when it is shown and hidden again.
 */

import { h } from "./dom";
import { icon } from "./icon";
import { theme, onTheme, toggleTheme } from "./theme";

/** What a tab shows. */
export interface View {
  /** Fills the panel; called once, when the tab is shown for the first time. */
  mount(panel: HTMLElement, shell: Shell): void;
  /** The tab is shown (again). */
  show?(): void;
  /** Another tab is shown. */
  hide?(): void;
}

export type TabName = "simulate" | "replay" | "live";

/** What a view may ask of the frame. */
export interface Shell {
  /** Shows another tab. */
  open(tab: TabName): void;
  /** Which tab is shown. */
  current(): TabName | null;
  /** Opens a trace (JSON Lines) in the tab replay; `from` says in a few words where it comes from. */
  replay(trace: string, from: string): void;
  /** Says something to those who can't see it, politely. */
  announce(text: string): void;
  /** Where a view puts buttons of its own, at the right of the bar. Shown as long as the view is. */
  actions(tab: TabName): HTMLElement;
}

const TITLES: Record<TabName, string> = { simulate: "Simulate", replay: "Replay", live: "Live" };

export interface ReplayView extends View {
  openTrace(trace: string, from: string): void;
}

export function startShell(app: HTMLElement, views: { simulate: View; replay: ReplayView; live: View }): Shell {
  const tabs = Object.keys(TITLES) as TabName[];
  const buttons = {} as Record<TabName, HTMLButtonElement>;
  const panels = {} as Record<TabName, HTMLElement>;
  const actions = {} as Record<TabName, HTMLElement>;
  const mounted = new Set<TabName>();
  const live = h("div", { class: "visually-hidden", role: "status", "aria-live": "polite" });
  let current: TabName | null = null;

  const tablist = h("div", { class: "tabs", role: "tablist", "aria-label": "Source" });
  for (const tab of tabs) {
    buttons[tab] = h(
      "button",
      { class: "tab", role: "tab", id: `tab-${tab}`, "aria-controls": `panel-${tab}`, onclick: () => shell.open(tab) },
      TITLES[tab],
    );
    panels[tab] = h("div", { class: "panel", role: "tabpanel", id: `panel-${tab}`, "aria-labelledby": `tab-${tab}`, hidden: true });
    actions[tab] = h("div", { class: "actions", hidden: true });
    tablist.append(buttons[tab]);
  }
  tablist.addEventListener("keydown", (event) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step || !current) return;
    event.preventDefault();
    event.stopPropagation();
    const next = tabs[(tabs.indexOf(current) + step + tabs.length) % tabs.length];
    if (next) {
      shell.open(next);
      buttons[next].focus();
    }
  });

  const shell: Shell = {
    current: () => current,
    open(tab) {
      if (tab === current) return;
      if (current) {
        views[current].hide?.();
        panels[current].hidden = true;
        actions[current].hidden = true;
      }
      current = tab;
      panels[tab].hidden = false;
      actions[tab].hidden = false;
      for (const name of tabs) {
        buttons[name].setAttribute("aria-selected", String(name === tab));
        buttons[name].tabIndex = name === tab ? 0 : -1;
      }
      document.title = `${TITLES[tab]} · Takhin`;
      if (!mounted.has(tab)) {
        mounted.add(tab);
        views[tab].mount(panels[tab], shell);
      }
      views[tab].show?.();
    },
    replay(trace, from) {
      shell.open("replay");
      views.replay.openTrace(trace, from);
    },
    announce(text) {
      live.textContent = text;
    },
    actions: (tab) => actions[tab],
  };

  const header = h(
    "header",
    { class: "top" },
    h("h1", { class: "brand" }, mark(), h("span", {}, "Takhin")),
    tablist,
    h("div", { class: "spacer" }),
    ...tabs.map((tab) => actions[tab]),
    themeButton(),
  );
  app.replaceChildren(header, h("main", { class: "panels" }, ...tabs.map((tab) => panels[tab])), live);
  return shell;
}

function themeButton(): HTMLElement {
  const button = h("button", { class: "button quiet", onclick: toggleTheme });
  const say = () => {
    const next = theme() === "dark" ? "light" : "dark";
    button.replaceChildren(icon("theme"));
    button.setAttribute("aria-label", `Use the ${next} theme`);
    button.title = `Use the ${next} theme`;
  };
  say();
  onTheme(say);
  return button;
}

function mark(): HTMLElement {
  return h("img", { src: new URL("./icon.svg", document.baseURI).href, alt: "", width: 22, height: 22 });
}
