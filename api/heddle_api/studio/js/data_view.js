// Data: the factors a tenant edits by, and its labelled sets. A zip dropped here becomes one.
import { alertOf } from "./alert.js";
import { fill, h } from "./dom.js";
import { askFactors } from "./factors_dialog.js";
import { fileDrop } from "./file_drop.js";
import { askFit } from "./fit_dialog.js";
import { Upload } from "./upload.js";
import { askUpload, uploadPanel } from "./upload_dialog.js";
import { counted, moment, plain, status } from "./words.js";

const POLL_MS = 1000;
/** Uploads outlive the view: they go on while others are read. @type {WeakMap<object, Upload[]>} */
const UPLOADS = new WeakMap();

/** The view; it asks again while a set is being checked. */
export function dataView(api) {
  const uploads = UPLOADS.get(api) ?? UPLOADS.set(api, []).get(api);
  const factorList = h("div", { class: "cards" }, h("p", { class: "muted" }, "Loading factors …"));
  const setList = h("div", { class: "stack" }, h("p", { class: "muted" }, "Loading labelled sets …"));
  const panels = h("div", { class: "stack", "aria-live": "polite" });
  let factorSets = [];
  let timer = null;
  let stopped = false;

  const refuse = (file) => {
    if (!factorSets.length) return "Register the factors first: they say what the labels mean.";
    return /\.(zip|parquet)$/i.test(file.name) ? null : `${file.name} is neither a zip nor Parquet; put the images and labels.csv into one zip.`;
  };
  const drop = fileDrop({
    id: "archive", label: "Choose a zip or Parquet file of labelled images", accept: ".zip,.parquet,application/zip", refuse,
    onFile: (file) => askUpload(file, factorSets, (wanted) => begin(new Upload(api, file, wanted))),
  });
  drop.say([h("span", { class: "big" }, "Drop a labelled set here, or ", h("strong", {}, "choose one")),
    "A zip with the images and a labels.csv (a column file, then one per factor), or Parquet. It goes straight to your object store."], false);

  const showUploads = () => fill(panels, uploads.map((upload) => uploadPanel(upload, () => {
    uploads.splice(uploads.indexOf(upload), 1);
    showUploads();
  })));
  const follow = (upload) => upload.addEventListener("change", () => upload.state === "done" && !stopped && load());
  const begin = (upload) => {
    uploads.unshift(upload);
    follow(upload);
    showUploads();
    upload.run();
  };
  const load = async () => {
    clearTimeout(timer);
    try {
      const [sets, datasets] = await Promise.all([api.list("/v1/factor_sets"), api.list("/v1/datasets")]);
      if (stopped) return;
      factorSets = sets;
      fill(factorList, sets.length ? sets.map((set) => factorPanel(api, set)) : noFactors());
      const names = new Map(sets.map((set) => [set.id, set.name]));
      fill(setList, datasets.length ? table(api, datasets, names) : noSets(sets.length > 0));
      if (datasets.some((each) => each.status === "validating")) timer = setTimeout(load, POLL_MS);
    } catch (error) {
      fill(setList, alertOf(error), h("p", {}, h("button", { type: "button", onclick: load }, "Try again")));
    }
  };
  const register = h("button", { type: "button", onclick: () => askFactors(api, load) }, "Register factors");
  const element = h("section", { class: "view" },
    h("header", {}, h("div", {},
      h("h1", {}, "Data"),
      h("p", { class: "lead" }, "What you edit by, and the pictures that show it. A few hundred labelled ones are enough."))),
    drop.element, panels,
    h("section", { class: "stack", "aria-labelledby": "sets-title" }, h("h2", { id: "sets-title" }, "Labelled sets"), setList),
    h("section", { class: "stack", "aria-labelledby": "factors-title" },
      h("div", { class: "row spread" }, h("h2", { id: "factors-title" }, "Factor sets"), register), factorList));
  const start = () => {
    uploads.forEach(follow);
    showUploads();
    load();
  };
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
  };
  return { element, title: "Data", start, stop };
}

function table(api, datasets, names) {
  const rows = datasets.map((each) => {
    const [words, tone] = status(each.status);
    const factors = names.get(each.factor_set.id) ?? "factors";
    const fit = h("button", { type: "button", onclick: () => askFit(api, each, factors) }, "Fit an adapter");
    return h("article", { class: "panel labelled-set", "aria-label": `Labelled set ${each.name}` },
      h("div", {},
        h("div", { class: "row" }, h("h3", {}, each.name), h("span", { class: `badge ${tone}` }, words)),
        h("p", { class: "small muted" }, [
          each.images === null ? null : counted(each.images, "image"),
          each.fault_count ? counted(each.fault_count, "fault") : null,
          `${factors}, version ${each.factor_set.version}`, moment(each.created_at),
        ].filter(Boolean).join(" · "))),
      h("div", { class: "row" },
        each.status === "ready" && fit,
        each.status !== "validating" && h("a", { class: "button", href: `#/data/${each.id}` }, "Validation report")));
  });
  return rows;
}

/** A factor set; older versions are read when one asks for them. */
function factorPanel(api, newest) {
  const list = h("dl", { class: "factor-list" });
  const show = (set) => fill(list, set.document.factors.flatMap((factor) => [
    h("dt", {}, plain(factor.name), " ", h("span", { class: "badge" }, factor.kind)),
    h("dd", { class: "small muted" }, spoken(factor)),
  ]));
  const version = h("select", { "aria-label": `Version of ${newest.name}` },
    Array.from({ length: newest.version }, (_, index) => newest.version - index).map((number) =>
      h("option", { value: number }, `version ${number}`)));
  const trouble = h("div");
  version.addEventListener("change", async () => {
    fill(trouble);
    try {
      show(await api.get(`/v1/factor_sets/${newest.id}/versions/${version.value}`));
    } catch (error) {
      fill(trouble, alertOf(error));
    }
  });
  show(newest);
  return h("article", { class: "panel", "aria-label": `Factor set ${newest.name}` },
    h("div", { class: "row spread nowrap" }, h("h3", {}, newest.name), h("div", { class: "narrow" }, version)), list, trouble);
}

function spoken(factor) {
  if (factor.kind === "continuous") return `${factor.range[0]} to ${factor.range[1]}${factor.unit ? ` ${factor.unit}` : ""}`;
  if (factor.kind === "periodic") return `once around is ${factor.period}${factor.unit ? ` ${factor.unit}` : ""}`;
  if (factor.kind === "binary") return "off, on";
  return factor.levels.join(factor.kind === "ordinal" ? " < " : ", ");
}

function noFactors() {
  return h("div", { class: "empty" },
    h("h3", {}, "No factors yet"),
    h("p", {}, "Factors are what you will edit: glasses, hair colour, age. Register them here, or with"),
    h("pre", {}, "heddle factors register factors.yaml"));
}

function noSets(factors) {
  return h("div", { class: "empty" },
    h("h3", {}, "No labelled set yet"),
    h("p", {}, factors ? "Drop a zip above. Its report tells row by row what is wrong before anything is fitted." : "Register your factors below first; then drop a zip above."));
}
