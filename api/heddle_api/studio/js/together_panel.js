// What goes together in a labelled set: every two factors as a heat map, their levels behind it, and equal images.
import { alertOf } from "./alert.js";
import { crossed, cramersV, duplicates, levelled } from "./crosstab.js";
import { fill, h } from "./dom.js";
import { heatMap } from "./heat_map.js";
import { counted, listed, plain, share } from "./words.js";

const MOST_ITEMS = 5000;
const THIN = 5; // images of two levels together below which they cannot be told apart

/**
 * @param {import("./api.js").Api} api
 * @param {object} set a ready labelled set
 * @param {object[]} specs its factors
 * @param {() => boolean} stopped whether the view is gone
 */
export function togetherPanel(api, set, specs, stopped) {
  const body = h("div", { class: "stack" }, h("p", { class: "small muted", role: "status" }, "Reading the labels …"));
  const element = h("section", { class: "panel", "aria-labelledby": "together-title" },
    h("h2", { id: "together-title" }, "What goes together"), body);
  const load = async () => {
    try {
      const items = await api.list(`/v1/datasets/${set.id}/items`, MOST_ITEMS, (sofar) => {
        if (stopped()) throw new Error("left");
        body.firstChild.textContent = `Reading the labels … ${counted(sofar.length, "image")}`;
      });
      fill(body, ...shown(items, specs));
    } catch (error) {
      if (!stopped()) fill(body, alertOf(error), h("p", {}, h("button", { type: "button", onclick: load }, "Try again")));
    }
  };
  load();
  return element;
}

function shown(items, specs) {
  const factors = specs.map(levelled).filter(Boolean);
  const labelled = items.filter(({ labels }) => Object.keys(labels).length);
  return [...(factors.length > 1 ? pairs(factors, labelled) : []), equal(duplicates(items))];
}

function pairs(factors, items) {
  const tables = factors.map((one) => factors.map((other) => (one === other ? null : crossed(one, other, items))));
  const strengths = tables.map((row) => row.map((counts) => (counts ? cramersV(counts) : null)));
  const detail = h("div", { class: "stack", "aria-live": "polite" });
  const pick = (row, column) => tables[row][column] && fill(detail, ...cells(factors[row], factors[column], tables[row][column]));
  const map = heatMap({
    label: "Association of labels, by pair of factors", corner: "",
    rows: factors.map(({ name }) => plain(name)), columns: factors.map(({ name }) => plain(name)), onPick: pick,
    cell: (row, column) => strengths[row][column] !== null && {
      text: share(strengths[row][column]), share: strengths[row][column], bad: strengths[row][column] > 0.3,
      words: `${plain(factors[row].name)} and ${plain(factors[column].name)}: ${share(strengths[row][column])}`,
    },
  });
  const all = strengths.flatMap((row, i) => row.map((strength, j) => [strength, i, j])).filter(([, i, j]) => i < j);
  const [strongest, row, column] = all.reduce((one, other) => (other[0] > one[0] ? other : one));
  pick(row, column);
  const names = `${plain(factors[row].name)} and ${plain(factors[column].name)}`;
  const advice = strongest > 0.3
    ? `${names} go together (${share(strongest)}): an edit of one may drag the other along. Images that break the pattern help most.`
    : `No two factors go together strongly; the most are ${names} (${share(strongest)}).`;
  return [h("p", { class: "small muted" }, "Cramér's V: 0 is independent, 1 always together. Pick a cell to see its levels."),
    h("p", {}, advice), map, detail];
}

function cells(one, other, counts) {
  const most = Math.max(1, ...counts.flat());
  const thin = counts.flat().filter((count) => count < THIN).length;
  return [
    h("h3", {}, `${plain(one.name)} by ${plain(other.name)}`),
    h("p", { class: "small muted" }, thin
      ? `${counted(thin, "pair")} of levels with fewer than ${THIN} images, marked: too few to tell the two factors apart there.`
      : `Every pair of levels has at least ${THIN} images.`),
    heatMap({
      label: `Images by ${plain(one.name)} and ${plain(other.name)}`, corner: "", rows: one.levels, columns: other.levels,
      cell: (row, column) => ({
        text: String(counts[row][column]), share: counts[row][column] / most, bad: counts[row][column] < THIN,
        words: `${one.levels[row]} and ${other.levels[column]}: ${counted(counts[row][column], "image")}`,
      }),
    }),
  ];
}

function equal(groups) {
  if (!groups.length) return h("p", { class: "small muted" }, "No two files hold the same image.");
  const extra = groups.reduce((sum, files) => sum + files.length - 1, 0);
  return h("details", {},
    h("summary", {}, `${counted(extra, "image")} are copies of others`),
    h("p", { class: "small muted" }, "Copies weigh double in a fit, and may lie on both sides of its own test."),
    h("ul", { class: "sentences small" }, groups.slice(0, 50).map((files) => h("li", {}, listed(files)))));
}
