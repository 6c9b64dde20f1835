// Rollouts: a new base brought to every tenant's adapters, wave by wave; shown only where the server offers them.
import { alertOf } from "./alert.js";
import { fill, h } from "./dom.js";
import { factPanels } from "./facts.js";

const POLL_MS = 3000;

/** The view. */
export function rolloutsView(api) {
  const body = h("div", { class: "stack" }, h("p", { class: "muted" }, "Loading rollouts …"));
  let timer = null;
  let stopped = false;
  const load = async () => {
    clearTimeout(timer);
    try {
      const found = await api.list("/v1/rollouts");
      if (stopped) return;
      fill(body, found.length ? found.flatMap((each) => factPanels(each, `Rollout ${each.id}`)) : nothing());
    } catch (error) {
      if (stopped) return;
      fill(body, alertOf(error));
    }
    timer = setTimeout(load, POLL_MS);
  };
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
  };
  const element = h("section", { class: "view" },
    h("header", {}, h("div", {}, h("h1", {}, "Rollouts"), h("p", { class: "lead" }, "Every adapter refitted on a new base, gated one by one, switched only where it got no worse."))), body);
  return { element, title: "Rollouts", start: load, stop };
}

function nothing() {
  return h("div", { class: "empty" }, h("h2", {}, "No rollout yet"), h("p", {}, "Publish a base, then roll it out to the adapters that stand on the old one."));
}
