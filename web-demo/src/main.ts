/** Where the page starts: the tabs, the keys, and files that are dropped on it. */

import "./shell/tokens.css";
import "./shell/shell.css";
import "./workbench/workbench.css";
import "./workbench/panes.css";

import { liveView } from "./live/live";
import { replayView } from "./replay/replay";
import { startShell, type TabName } from "./shell/shell";
import { startTheme } from "./shell/theme";
import { simulateView } from "./simulate/simulate";

startTheme();
const app = document.getElementById("app");
if (!app) throw new Error("the page has no #app");

const simulate = simulateView();
const replay = replayView((text) => simulate.openScenario(text));
const shell = startShell(app, { simulate, replay, live: liveView() });
const first: Record<string, TabName> = { "#trace": "replay", "#live": "live", "#replay": "replay" };
shell.open(first[location.hash.split("=")[0] ?? ""] ?? "simulate");

// A link that is put into the address bar of a page that is open already is opened too.
window.addEventListener("hashchange", () => location.reload());

document.addEventListener("keydown", (event) => {
  const target = event.target as HTMLElement;
  const typing = target.closest("input:not([type=range]):not([type=checkbox]), textarea, select, dialog, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
  // Space and the arrows keep their meaning where an element has one of its own.
  if (event.key === " " && target.closest("button, summary, a, input")) return;
  if (event.key.startsWith("Arrow") && target.closest("[role=tablist], [role=menu], input")) return;
  const tab = shell.current();
  if (event.key === "o" && tab !== "live") {
    event.preventDefault();
    shell.open("replay");
    replay.choose();
    return;
  }
  const handled = tab === "simulate" ? simulate.key(event) : tab === "replay" ? replay.key(event) : false;
  if (handled) event.preventDefault();
});

document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const file = event.dataTransfer?.files[0];
  if (!file) return;
  shell.open("replay");
  void replay.openFile(file);
});
