// The report card of a version: what the gate says, how well each factor reads and edits, what edits drag along.
import { alertOf, sentence } from "./alert.js";
import { effectCurve } from "./curve.js";
import { fill, h } from "./dom.js";
import { takeHome } from "./download_menu.js";
import { driftPanel } from "./drift_panel.js";
import { heatMap } from "./heat_map.js";
import { openCard, openPlaybook } from "./page_dialog.js";
import { versionActions } from "./version_actions.js";
import { aliasTimeline } from "./alias_timeline.js";
import { counted, moment, plain, share, status } from "./words.js";

const VERDICTS = {
  pass: ["Passed", "good", "It may go to production."],
  needs_approval: ["Needs a person", "warn", "Something is within the noise, or worse than production; you decide."],
  fail: ["Failed", "bad", "It cannot be served. The sentences say what would help."],
};
const LEAK_SEEN = 0.05;

/** The view at #/adapters/<name>/<version>. */
export function cardView(api, [name, number]) {
  const head = h("div", {}, crumb(), h("h1", {}, `${name}, version ${number}`));
  const actions = h("div", { class: "row" });
  const body = h("div", { class: "stack" }, h("p", { class: "muted" }, "Loading the report card …"));
  let stopped = false;
  const load = async () => {
    try {
      const path = `/v1/adapters/${encodeURIComponent(name)}`;
      const [adapter, version, card] = await Promise.all([
        api.get(path), api.get(`${path}/versions/${encodeURIComponent(number)}`), api.get(`${path}/versions/${encodeURIComponent(number)}/card`),
      ]);
      if (stopped) return;
      const [words, tone] = status(version.status);
      fill(head, crumb(), h("div", { class: "row" }, h("h1", {}, `${name}, version ${number}`), h("span", { class: `badge ${tone}` }, words),
        version.aliases.map((alias) => h("span", { class: "badge live" }, alias))),
      h("p", { class: "lead" }, `${counted(card.labels, "labelled image")}, ${counted(card.factors.length, "factor")}, fitted ${moment(version.created_at)}. Every number is from images the fit did not see.`));
      fill(actions,
        h("button", { type: "button", onclick: () => openPlaybook(api, name, number) }, "Open playbook"),
        h("button", { type: "button", onclick: () => openCard(api, name, number) }, "Open scorecard"),
        versionActions(api, version, adapter.aliases.production, load));
      fill(body, ...sections(api, adapter, version, card));
    } catch (error) {
      fill(body, alertOf(error), h("p", {}, h("button", { type: "button", onclick: load }, "Try again")));
    }
  };
  const element = h("section", { class: "view" }, h("header", {}, head, actions), body);
  return { element, title: `${name}, version ${number}`, start: load, stop: () => { stopped = true; } };
}

function crumb() {
  return h("p", { class: "crumb" }, h("a", { href: "#/adapters" }, "Adapters"));
}

function sections(api, adapter, version, card) {
  const curves = card.measured?.curves ?? [];
  return [
    verdict(version, card),
    h("section", { class: "panel", "aria-labelledby": "factors-title" }, h("h2", { id: "factors-title" }, "Factors"), factorTable(card, version.gate)),
    curves.length > 0 && h("section", { class: "panel", "aria-labelledby": "curves-title" },
      h("h2", { id: "curves-title" }, "Effect by strength"),
      h("p", { class: "small muted" }, "The solid line is what edits did, its band the 95 % interval; the dashed line is what was asked. On the tinted strengths a stronger edit still does more."),
      h("div", { class: "chart-grid" }, curves.map(effectCurve))),
    card.factors.length > 1 && leakage(card),
    (card.warnings ?? []).length > 0 && h("section", { class: "panel" }, h("h2", {}, "Worth knowing"),
      h("ul", { class: "sentences" }, card.warnings.map((each) => h("li", {}, sentence(each.detail), each.action && !each.detail.includes(each.action) && ` ${sentence(each.action)}`)))),
    ["passed", "approved"].includes(version.status) && driftPanel(api, version),
    h("section", { class: "panel" }, h("h2", {}, "Aliases and decisions"), aliasTimeline(api, adapter, version)),
    h("section", { class: "panel" }, takeHome(api, version)),
  ];
}

function verdict(version, card) {
  const [words, tone, meaning] = VERDICTS[version.verdict];
  const { gate } = version;
  const sentences = [...(gate.reasons ?? []), ...Object.values(gate.factors ?? {}).flatMap((each) => each.reasons ?? [])];
  const compared = (gate.compared?.changes ?? []).filter((change) => change.reason).map((change) => change.reason);
  const told = [["Accuracy", card.accuracy], ["Effect", card.effect], ["Largest leakage", card.leakage_max], ["MIG", card.mig?.value],
    ["Disentanglement (DCI)", card.dci?.parts?.disentanglement]];
  return h("section", { class: "panel", "aria-labelledby": "gate-title" },
    h("div", { class: "row" }, h("h2", { id: "gate-title" }, "The gate"), h("span", { class: `badge ${tone}` }, words), h("span", { class: "muted" }, meaning)),
    h("dl", { class: "figures" }, told.map(([name, found]) => h("div", {}, h("dt", {}, name), h("dd", {}, share(found))))),
    sentences.length + compared.length > 0
      ? h("ul", { class: "sentences" }, [...new Set([...sentences, ...compared])].map((each) => h("li", {}, sentence(each))))
      : h("p", { class: "small muted" }, "Every check of every factor passed; there is nothing to object."));
}

function factorTable(card, gate) {
  return h("div", { class: "table-frame" }, h("table", { class: "table snug" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Factor"), ["Reads", "Edits", "Leaks"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, card.factors.map((factor) => {
      const passed = gate.factors?.[factor.name]?.passed;
      return h("tr", {}, h("th", { scope: "row" }, h("div", { class: "row" }, plain(factor.name), h("span", { class: `badge ${passed ? "good" : "bad"}` }, passed ? "passes" : "refused"))),
        h("td", {}, meter(factor.accuracy)), h("td", {}, meter(factor.effect)),
        h("td", {}, meter(factor.leakage), factor.leakage > 0 && factor.leakage_into && h("span", { class: "small muted into" }, `into ${plain(factor.leakage_into)}`)));
    }))));
}

function meter(number) {
  if (number === null || number === undefined) return "–";
  const bar = h("i", { "aria-hidden": "true" });
  bar.style.setProperty("--share", Math.max(0, Math.min(1, number)).toFixed(3));
  return h("span", { class: "meter" }, bar, share(number));
}

function leakage(card) {
  const names = card.factors.map(({ name }) => name);
  return h("section", { class: "panel", "aria-labelledby": "leakage-title" },
    h("h2", { id: "leakage-title" }, "What else an edit changes"),
    h("p", { class: "small muted" }, `Row: the factor that was edited. Column: the share of edits after which another factor reads otherwise, what redrawing alone does taken off. ${share(LEAK_SEEN)} and more is marked.`),
    heatMap({
      label: "Leakage of edits, by factor edited and factor changed", corner: "edited", rows: names.map(plain), columns: names.map(plain),
      cell: (row, column) => {
        const found = card.leakage[names[row]]?.[names[column]];
        if (row === column || found === undefined) return null;
        return { text: share(found), share: found * 2, bad: found >= LEAK_SEEN, words: `Editing ${plain(names[row])} changes ${plain(names[column])} in ${Math.round(100 * found)} % of edits` };
      },
    }));
}
