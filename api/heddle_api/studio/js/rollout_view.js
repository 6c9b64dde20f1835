// One rollout: how far it is, what became of every adapter, and what may be done about it.
import { alertOf } from "./alert.js";
import { askFor } from "./ask_dialog.js";
import { fill, h, notify } from "./dom.js";
import { openPage } from "./page_dialog.js";
import { askRollout } from "./rollout_dialog.js";
import { counted, moment, percent, plain, share, status } from "./words.js";

const POLL_MS = 1500;
const MEANING = {
  fitting: "Every adapter is fitted on the base and judged; nothing has moved.", reported: "A dry run: nothing was moved.",
  canary: "The first tenants are on the base. Go on, or take them back.", complete: "What passed is served on the base.",
  rolled_back: "Every alias stands where it stood before.", cancelled: "It was stopped; nothing had moved.", failed: "It could not be done.",
};

const DONE = {
  continue: "The rest of what passed has moved.", rollback: "Every alias stands where it stood before.", cancel: "It is being stopped.",
};

/** The view at #/rollouts/<id>. */
export function rolloutView(api, [id]) {
  const head = h("div", {}, crumb(), h("h1", {}, "Rollout"));
  const actions = h("div", { class: "row" });
  const body = h("div", { class: "stack" }, h("p", { class: "muted" }, "Loading the report …"));
  let timer = null;
  let stopped = false;
  let seen = "";
  const load = async () => {
    clearTimeout(timer);
    try {
      const found = await api.get(`/v1/rollouts/${encodeURIComponent(id)}/report`);
      if (stopped) return;
      if (["fitting", "canary"].includes(found.rollout.status)) timer = setTimeout(load, POLL_MS);
      const now = JSON.stringify(found);
      if (now === seen) return;
      seen = now;
      const [words, tone] = status(found.rollout.status);
      fill(head, crumb(), h("div", { class: "row" }, h("h1", {}, `Rollout to ${found.rollout.base.name}`), h("span", { class: `badge ${tone}` }, words),
        found.rollout.dry_run && h("span", { class: "badge" }, "dry run")), h("p", { class: "lead" }, MEANING[found.rollout.status]));
      fill(actions, deeds(api, found.rollout, load));
      fill(body, sections(found));
    } catch (error) {
      if (!stopped) fill(body, alertOf(error), h("p", {}, h("button", { type: "button", onclick: load }, "Try again")));
    }
  };
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
  };
  const element = h("section", { class: "view" }, h("header", {}, head, actions), body);
  return { element, title: "Rollout", start: load, stop };
}

function crumb() {
  return h("p", { class: "crumb" }, h("a", { href: "#/rollouts" }, "Rollouts"));
}

function deeds(api, rollout, reload) {
  const path = `/v1/rollouts/${rollout.id}`;
  const ask = (verb, deed, title, say, danger = false) => h("button", { type: "button", class: danger ? "danger" : "primary", onclick: () => askFor({
    title, say, verb, danger, work: () => api.post(`${path}/${deed}`),
    onDone: () => {
      notify(DONE[deed]);
      reload();
    },
  }) }, verb);
  const { counts, base } = rollout;
  const rest = counts.passed - counts.moved;
  const page = () => openPage({ title: `Rollout to ${base.name}`, load: () => api.getPage(`${path}/report`), filename: `${rollout.id}.html` });
  return [
    rollout.status === "reported" && h("button", { type: "button", class: "primary", onclick: () => askRollout(api, rollout) }, "Roll it out in earnest"),
    rollout.status === "canary" && ask("Continue", "continue", "Go on after the canary?", `${counted(rest, "adapter")} more ${rest === 1 ? "moves" : "move"} to ${base.name}.`),
    ["canary", "complete"].includes(rollout.status) && ask("Roll back", "rollback", "Roll back?", "Every alias goes back to exactly where it was, unless its tenant moved it since.", true),
    rollout.status === "fitting" && ask("Cancel", "cancel", "Cancel the rollout?", "Nothing has moved; what was fitted stays as versions.", true),
    h("button", { type: "button", onclick: page }, "Open as a page"),
  ];
}

function sections({ rollout, adapters }) {
  const { counts } = rollout;
  const figures = [["Adapters", counts.adapters], ["Tenants", counts.tenants], ["Better", counts.better], ["Equal", counts.equal], ["Worse", counts.worse],
    ["Failed", counts.failed], ["Passed", counts.passed], ["Moved", counts.moved]];
  return [
    rollout.error && alertOf({ message: rollout.error.message }),
    h("section", { class: "panel", "aria-label": "Figures" },
      rollout.status === "fitting" && [h("progress", { max: 1, value: rollout.progress, "aria-label": "Progress of the rollout" }), h("p", { class: "small muted" }, `${percent(rollout.progress)} done.`)],
      h("dl", { class: "figures" }, figures.map(([name, count]) => h("div", {}, h("dt", {}, name), h("dd", {}, count.toLocaleString("en"))))),
      h("p", { class: "small muted" }, [`Began ${moment(rollout.created_at)}`, rollout.finished_at && `ended ${moment(rollout.finished_at)}`,
        rollout.canary_until && `the canary is rolled back ${moment(rollout.canary_until)} if nobody decides`,
        rollout.aliases_kept > 0 && `${counted(rollout.aliases_kept, "alias", "aliases")} left alone, moved by their tenants since`].filter(Boolean).join(" · "))),
    adapters.length > 0
      ? h("section", { class: "panel", "aria-labelledby": "adapters-title" }, h("h2", { id: "adapters-title" }, "Adapters"), table(adapters))
      : h("div", { class: "empty" }, h("h2", {}, "No adapter in it"), h("p", {}, rollout.status === "fitting" ? "They show as they are done." : "No tenant's alias served a version on another base when it began: there was nothing to bring over.")),
  ];
}

function table(adapters) {
  return h("div", { class: "table-frame" }, h("table", { class: "table snug" },
    h("thead", {}, h("tr", {}, ["Adapter", "Mean difference", "Version", "Why"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, adapters.map((each) => {
      const [words, tone] = each.outcome ? status(each.outcome) : ["being fitted", "live"];
      const mean = (each.numbers.differences ?? []).find(({ factor }) => factor === null);
      return h("tr", {},
        h("th", { scope: "row" }, h("div", { class: "row" }, each.adapter, h("span", { class: `badge ${tone}` }, words),
          each.mapped && h("span", { class: "badge warn" }, "mapped"), each.moved && h("span", { class: "badge live" }, "moved")),
        h("span", { class: "small muted block id" }, each.tenant)),
        h("td", {}, mean ? [signed(mean.difference), h("span", { class: "small muted block" }, `${signed(mean.interval[0])} to ${signed(mean.interval[1])}, ${plain(mean.measure)}`)] : "–"),
        h("td", {}, each.to_version ? `${each.from_version} → ${each.to_version}` : String(each.from_version)),
        h("td", { class: "small" }, each.reasons.length ? each.reasons.join(" ") : "–"));
    }))));
}

function signed(number) {
  if (Math.abs(number) < 0.005) return ".00";
  return `${number > 0 ? "+" : ""}${share(number)}`;
}
