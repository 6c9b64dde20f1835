// A labelled set's validation report: what is wrong and where, what is there, and what goes together.
import { alertOf, sentence } from "./alert.js";
import { bars } from "./bars.js";
import { fill, h } from "./dom.js";
import { faultTable } from "./fault_table.js";
import { askFit } from "./fit_dialog.js";
import { togetherPanel } from "./together_panel.js";
import { counted, listed, percent, plain, share, status } from "./words.js";

const FEW = 5; // images of a level below which a fit cannot know it
const LEANING = 0.6; // of a factor's labels in one level: said beside its bars
const UNEVEN = 0.25; // of an even share: a level below this is said to be rare

/** The view at #/data/<id>. */
export function reportView(api, [id]) {
  const body = h("div", { class: "stack" }, h("p", { class: "muted" }, "Loading the report …"));
  const head = h("div", {}, h("p", { class: "crumb" }, h("a", { href: "#/data" }, "Data")), h("h1", {}, "Validation report"));
  let stopped = false;
  const start = async () => {
    try {
      const path = `/v1/datasets/${encodeURIComponent(id)}`;
      const [set, report] = await Promise.all([api.get(path), api.get(`${path}/validation`)]);
      const { id: factorSet, version } = set.factor_set;
      const factors = await api.get(`/v1/factor_sets/${factorSet}/versions/${version}`);
      if (stopped) return;
      const [words, tone] = status(set.status);
      fill(head, h("p", { class: "crumb" }, h("a", { href: "#/data" }, "Data")),
        h("div", { class: "row" }, h("h1", {}, set.name), h("span", { class: `badge ${tone}` }, words)),
        h("p", { class: "lead" }, verdict(set, report)));
      fill(body, ...sections(api, set, report, factors).filter(Boolean));
    } catch (error) {
      fill(body, alertOf(error), h("p", {}, h("button", { type: "button", onclick: start }, "Try again")));
    }
  };
  const element = h("section", { class: "view" }, h("header", {}, head), body);
  return { element, title: "Validation report", start, stop: () => { stopped = true; } };
}

function verdict(set, report) {
  if (report.valid === null) return "The labels are being checked; come back in a moment.";
  if (report.valid) return "Nothing is wrong with it. A fit can begin.";
  return `${counted(report.fault_count, "fault")} must be mended before a fit: correct labels.csv or the images, and upload the zip again.`;
}

function sections(api, set, report, factors) {
  const specs = factors.document.factors;
  const found = report.levels ?? {};
  const charts = specs.filter(({ name }) => found[name]).map((factor) => levelBars(factor, found[factor.name], report.balance?.[factor.name]));
  const ranges = specs.filter(({ name }) => report.ranges?.[name]);
  return [
    h("div", { class: "panel" }, figures(report),
      (report.warnings ?? []).length > 0 && h("ul", { class: "sentences small" }, report.warnings.map((each) => h("li", {}, sentence(each.detail)))),
      (report.twins?.pairs ?? []).length > 0 && twins(report.twins),
      set.status === "ready" && h("p", {}, h("button", { type: "button", class: "primary", onclick: () => askFit(api, set, factors.name) }, "Fit an adapter on it"))),
    report.errors.length > 0 && faultTable(report),
    charts.length > 0 && h("section", { class: "panel", "aria-labelledby": "balance-title" },
      h("h2", { id: "balance-title" }, "Images per level"), h("p", { class: "small muted" }, balance(specs, found)),
      h("div", { class: "chart-grid" }, charts)),
    ranges.length > 0 && h("section", { class: "panel" }, h("h2", {}, "Numbers"), rangeTable(ranges, report)),
    report.associations?.length > 0 && togetherPanel(report.associations, specs),
  ];
}

function figures(report) {
  const missing = Object.values(report.missing ?? {}).reduce((sum, count) => sum + count, 0);
  const told = [
    ["Images", report.images], ["Labelled", report.labelled], ["Without labels", report.unlabelled],
    ["Empty cells", report.levels && report.labelled ? missing : null], ["Weigh other than 1", report.weights?.rows ?? null], ["Count as", report.weights?.effective_rows ?? null, "images"],
    ["Look-alikes", report.twins?.count ?? null],
    ["Smallest side", report.sizes?.smallest, "px"], ["Largest side", report.sizes?.largest, "px"], ["Too small", report.sizes?.small || null],
    ["Metadata removed", report.stripped || null], ["Faults", report.fault_count],
  ];
  return h("dl", { class: "figures" }, told.filter(([, number]) => typeof number === "number").map(([name, number, unit]) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, number.toLocaleString("en"), unit && ` ${unit}`))));
}

function twins({ count, pairs }) {
  const shown = pairs.map(({ file, like, same_labels: same }) =>
    h("li", {}, `${file} looks like ${like}`, !same && h("span", { class: "warn-text" }, ", but is labelled otherwise")));
  return h("details", {}, h("summary", {}, `Look-alikes: ${pairs.length} of ${count} shown`), h("ul", { class: "sentences small" }, shown));
}

function levelBars(factor, counts, balance) {
  const levels = factor.kind === "binary" ? ["off", "on"] : factor.levels;
  const pairs = levels.map((level) => [level, counts[level] ?? 0]);
  const few = pairs.filter(([, count]) => count < FEW).map(([level]) => level);
  const lean = balance && balance.share >= LEANING && `${percent(balance.share)} are ${balance.most}; evenness ${share(balance.evenness)}.`;
  const note = few.length ? `Too few to learn: ${listed(few)}. Label at least ${FEW} of each.` : lean || "";
  return bars(factor.name, pairs, { note, tone: few.length ? "warn-text" : "" });
}

function balance(specs, found) {
  const rare = specs.flatMap((factor) => {
    const counts = found[factor.name];
    if (!counts) return [];
    const levels = factor.kind === "binary" ? ["off", "on"] : factor.levels;
    const even = Object.values(counts).reduce((sum, count) => sum + count, 0) / levels.length;
    return levels.filter((level) => (counts[level] ?? 0) < UNEVEN * even).map((level) => `${plain(factor.name)} ${level}`);
  });
  if (!rare.length) return "Well balanced: no level has less than a quarter of an even share.";
  return `Rare levels: ${listed(rare)}. More images of these help most.`;
}

function rangeTable(ranges, report) {
  return h("div", { class: "table-frame" }, h("table", { class: "table" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Factor"), ["Least", "Mean", "Most", "Declared"].map((name) => h("th", { scope: "col", class: "number" }, name)))),
    h("tbody", {}, ranges.map((factor) => {
      const { low, mean, high } = report.ranges[factor.name];
      const declared = factor.range ? `${factor.range[0]} to ${factor.range[1]}` : "–";
      return h("tr", {}, h("th", { scope: "row" }, plain(factor.name)),
        [share(low), share(mean), share(high), declared].map((text) => h("td", { class: "number" }, text)));
    }))));
}
