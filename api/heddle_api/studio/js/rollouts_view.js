// Rollouts: a new base brought to every tenant's adapters; what runs, what was done.
import { h } from "./dom.js";
import { empty, loaded } from "./loaded.js";
import { askRollout } from "./rollout_dialog.js";
import { counted, moment, percent, status } from "./words.js";

const POLL_MS = 3000;

/** The view. */
export function rolloutsView(api) {
  let timer = null;
  const list = loaded("Loading rollouts …", async () => {
    clearTimeout(timer);
    const found = await api.list("/v1/rollouts");
    if (found.some((each) => each.status === "fitting")) timer = setTimeout(list.load, POLL_MS);
    return found.length ? found.map(article) : [empty("No rollout yet",
      "Publish a base, then roll it out: every served adapter is fitted anew on it, held against its predecessor on the same rows, and moved only where it got no worse. A dry run tells beforehand.")];
  });
  const stop = () => {
    clearTimeout(timer);
    list.stop();
  };
  const element = h("section", { class: "view" },
    h("header", {}, h("div", {}, h("h1", {}, "Rollouts"), h("p", { class: "lead" }, "Every adapter refitted on a new base, judged one by one, switched only where it got no worse.")),
      h("button", { type: "button", class: "primary", onclick: () => askRollout(api) }, "Start a rollout")), list.element);
  return { element, title: "Rollouts", start: list.load, stop };
}

function article(each) {
  const [words, tone] = status(each.status);
  const { counts } = each;
  const bar = h("progress", { max: 1, value: each.progress, "aria-label": `Progress of the rollout of ${each.base.name}` });
  return h("article", { class: "panel", "aria-label": `Rollout of ${each.base.name}, ${words}` },
    h("div", { class: "row spread" },
      h("div", { class: "row" }, h("h2", {}, `To ${each.base.name}`), h("span", { class: `badge ${tone}` }, words), each.dry_run && h("span", { class: "badge" }, "dry run"),
        h("span", { class: "small muted" }, moment(each.created_at))),
      h("a", { class: "button", href: `#/rollouts/${each.id}` }, "Report")),
    each.status === "fitting" && bar,
    h("p", { class: "small muted" }, each.status === "fitting"
      ? `${percent(each.progress)}: ${counts.done} of ${counted(counts.adapters, "adapter")} done.`
      : `${counted(counts.adapters, "adapter")} of ${counted(counts.tenants, "tenant")}: ${counts.better} better, ${counts.equal} equal, ${counts.worse} worse, ${counts.failed} failed; ${counts.moved} moved.`));
}
