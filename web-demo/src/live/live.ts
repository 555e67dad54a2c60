/** The console of the server that serves this page. */

import { h } from "../shell/dom";
import type { View } from "../shell/shell";

export function liveView(): View {
  return {
    mount(panel, shell) {
      const said = h("p", { class: "message" }, "Asking the server how it is …");
      const replay = h("button", { class: "button", onclick: () => void replayLast() }, "Replay the last 1,000 steps here");
      panel.append(h("div", { class: "live-empty" }, said, replay));

      async function replayLast(): Promise<void> {
        try {
          const response = await fetch("/api/debug/trace?steps=1000");
          if (!response.ok) throw new Error(`the server answers ${response.status}`);
          const trace = await response.text();
          if (trace.trim() === "") throw new Error("the server keeps no steps (--flight-recorder 0)");
          shell.replay(trace, "this server's last steps");
        } catch (error) {
          said.textContent = `The steps can't be had: ${error instanceof Error ? error.message : String(error)}.`;
          said.classList.add("bad");
        }
      }

      void fetch("/api/health").then(
        async (response) => {
          const health = (await response.json()) as { status?: string };
          said.textContent = `The server says: ${health.status ?? response.status}.`;
        },
        () => {
          said.textContent = "No server answers here: this page is served as files.";
          replay.disabled = true;
        },
      );
    },
  };
}
