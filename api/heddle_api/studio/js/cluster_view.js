// Cluster: nodes, queue, throughput and age of the oldest work, for operators; brought up to date while shown.
import { alertOf } from "./alert.js";
import { fill, h } from "./dom.js";
import { factPanels } from "./facts.js";

const POLL_MS = 3000;

/** The view. */
export function clusterView(api) {
  const body = h("div", { class: "stack" }, h("p", { class: "muted" }, "Asking the cluster …"));
  let timer = null;
  let stopped = false;
  const load = async () => {
    clearTimeout(timer);
    let again = true;
    try {
      const found = await api.getIfThere("/v1/admin/cluster");
      if (stopped) return;
      again = found !== null;
      fill(body, found ? factPanels(found, "At a glance") : untold());
    } catch (error) {
      if (stopped) return;
      fill(body, alertOf(error), h("p", { class: "muted" }, "It is asked again every few seconds."));
    }
    if (again) timer = setTimeout(load, POLL_MS);
  };
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
  };
  const element = h("section", { class: "view" },
    h("header", {}, h("div", {}, h("h1", {}, "Cluster"), h("p", { class: "lead" }, "Where fits run: nodes, what waits, how fast it goes."))), body);
  return { element, title: "Cluster", start: load, stop };
}

function untold() {
  return h("div", { class: "empty" },
    h("h2", {}, "This server does not tell about its cluster"),
    h("p", {}, "It is older than this page, or runs without one. On the machine itself, this tells what runs:"),
    h("pre", {}, "heddle status"));
}
