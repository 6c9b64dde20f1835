// Adapters: every version, what the gate said of it, its card, and which one is in production.
import { alertOf, sentence } from "./alert.js";
import { fill, h } from "./dom.js";
import { takeHome } from "./download_menu.js";
import { openCard } from "./page_dialog.js";
import { askRollBack } from "./rollback_dialog.js";
import { trialPanel } from "./trial_panel.js";
import { versionActions } from "./version_actions.js";
import { moment, plain, status } from "./words.js";

/** The view; `rest` of the address is not used. */
export function adaptersView(api) {
  const list = h("div", { class: "stack" }, h("p", { class: "muted" }, "Loading adapters …"));
  const load = async () => {
    try {
      const adapters = await api.list("/v1/adapters");
      const panels = await Promise.all(adapters.map(async (each) => panel(api, each, await standing(api, each), load)));
      fill(list, panels.length ? panels : nothing());
    } catch (error) {
      fill(list, alertOf(error), h("p", {}, h("button", { type: "button", onclick: load }, "Try again")));
    }
  };
  const element = h("section", { class: "view" },
    h("header", {},
      h("div", {},
        h("h1", {}, "Adapters"),
        h("p", { class: "lead" }, "Each fit makes a version. A gate judges it; you approve it; production moves to it, and back if you want."))),
    list);
  return { element, title: "Adapters", start: load, stop() {} };
}

/** An adapter's versions, and where production stands: what is on trial, and what a rollback would bring back. */
async function standing(api, { id, aliases }) {
  const path = `/v1/adapters/${id}`;
  const [versions, production] = await Promise.all([
    api.list(`${path}/versions`),
    aliases.production ? api.get(`${path}/aliases/production`) : null,
  ]);
  return { versions, alias: production };
}

function nothing() {
  return h("div", { class: "empty" },
    h("h2", {}, "No adapter yet"),
    h("p", {}, "Register your factors, upload labelled images, and queue a fit; its versions then appear here."),
    h("div", { class: "row" }, h("a", { class: "button", href: "#/data" }, "Go to your data")),
    h("pre", {}, "heddle factors register factors.yaml\nheddle data upload images/ --factors avatars\nheddle fit avatars --data images"));
}

function panel(api, adapter, { versions, alias }, reload) {
  const production = alias?.version;
  const previous = alias?.previous_version ?? null;
  const back = () => askRollBack(api, adapter, alias, reload);
  return h("article", { class: "panel", "aria-label": `Adapter ${adapter.name}` },
    h("div", { class: "row spread" },
      h("div", { class: "row" },
        h("h2", {}, adapter.name),
        production
          ? h("span", { class: "badge good" }, `production: version ${production}`)
          : h("span", { class: "badge" }, "nothing in production")),
      (previous || alias?.canary) && h("button", { type: "button", onclick: back }, alias.canary ? "Roll back" : `Roll back to version ${previous}`)),
    alias && trialPanel(api, adapter, { alias, versions }, reload),
    h("ul", { class: "versions" }, versions.map((version) => versionOf(api, version, production, reload))));
}

function versionOf(api, version, production, reload) {
  const [words, tone] = status(version.status);
  const factors = Object.entries(version.gate.factors ?? {});
  const reasons = [...(version.gate.reasons ?? []), ...factors.flatMap(([, verdict]) => verdict.reasons ?? [])];
  const page = `#/adapters/${encodeURIComponent(version.adapter)}/${version.version}`;
  return h("li", {},
    h("div", { class: "row" },
      h("h3", {}, `Version ${version.version}`),
      h("span", { class: `badge ${tone}` }, words),
      version.aliases.map((alias) => h("span", { class: "badge live" }, alias)),
      h("span", { class: "muted small" }, moment(version.created_at))),
    h("ul", { class: "chips", "aria-label": "Factors" }, factors.map(([name, verdict]) =>
      h("li", { class: `badge ${verdict.passed ? "good" : "bad"}` }, `${plain(name)} ${verdict.passed ? "passes" : "refused"}`))),
    reasons.length > 0 && h("ul", { class: "sentences small" }, [...new Set(reasons)].map((reason) => h("li", {}, sentence(reason)))),
    h("div", { class: "row" },
      h("a", { class: "button", href: page }, "Report card"),
      h("button", { type: "button", onclick: () => openCard(api, version.adapter, version.version) }, "Open scorecard"),
      versionActions(api, version, production, reload)),
    takeHome(api, version));
}
