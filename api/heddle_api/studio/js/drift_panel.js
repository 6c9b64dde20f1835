// Drift of a version: whether the images it edits still look like those it was fitted on, why, and what to do.
import { sentence } from "./alert.js";
import { h } from "./dom.js";
import { loaded } from "./loaded.js";
import { counted, moment } from "./words.js";

const VERDICTS = {
  stable: ["stable", "good"], watch: ["watch", "warn"], drifted: ["drifted", "bad"], too_few: ["too few images yet", ""],
};

/** @param {import("./api.js").Api} api @param {object} version */
export function driftPanel(api, version) {
  const query = new URLSearchParams({ adapter: `${version.adapter_id}@${version.version}` });
  const panel = loaded("Loading drift …", async () => {
    const [found] = (await api.get(`/v1/drift?${query}`)).data;
    return found ? told(found) : [];
  });
  panel.load();
  return h("section", { class: "panel", "aria-labelledby": "drift-title" }, h("h2", { id: "drift-title" }, "Drift"), panel.element);
}

function told(found) {
  const [words, tone] = VERDICTS[found.verdict];
  const seen = found.last_hour ? `, last ${moment(found.last_hour)}` : "";
  return [
    h("div", { class: "row" }, h("span", { class: `badge ${tone}` }, words),
      h("span", { class: "small muted" }, `${counted(found.images, "image")} in the last ${found.window_hours / 24} days${seen}`)),
    h("ul", { class: "sentences" }, found.reasons.map((reason) => h("li", {}, sentence(reason)))),
    h("p", { class: "small muted" }, found.advice),
  ];
}
