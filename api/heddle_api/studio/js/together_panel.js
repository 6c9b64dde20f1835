// What goes together in a labelled set: every two factors as a heat map, and behind a cell how often their levels meet.
// All of it is read from the validation report.
import { fill, h } from "./dom.js";
import { heatMap } from "./heat_map.js";
import { counted, plain, share } from "./words.js";

const THIN = 5; // images of two levels together below which they cannot be told apart
const STRONG = 0.3; // as the report warns

/**
 * @param {{first: string, second: string, value: number, measure: string, rows: number, table: number[][]|null}[]} pairs
 * @param {object[]} specs the factors
 * @returns {HTMLElement|null} null where fewer than two factors can be compared
 */
export function togetherPanel(pairs, specs) {
  const found = new Map(pairs.flatMap((pair) => [[`${pair.first} ${pair.second}`, pair], [`${pair.second} ${pair.first}`, turned(pair)]]));
  const factors = specs.filter(({ name }) => pairs.some(({ first, second }) => name === first || name === second));
  if (factors.length < 2) return null;
  const of = (row, column) => found.get(`${factors[row].name} ${factors[column].name}`);
  const detail = h("div", { class: "stack", "aria-live": "polite" });
  const pick = (row, column) => of(row, column) && fill(detail, ...cells(factors[row], factors[column], of(row, column)));
  const names = factors.map(({ name }) => plain(name));
  const map = heatMap({
    label: "Association of labels, by pair of factors", corner: "", rows: names, columns: names, onPick: pick,
    cell: (row, column) => of(row, column) && {
      text: share(of(row, column).value), share: of(row, column).value, bad: of(row, column).value >= STRONG,
      words: `${names[row]} and ${names[column]}: ${share(of(row, column).value)}, ${plain(of(row, column).measure)}`,
    },
  });
  const strongest = pairs.reduce((one, other) => (other.value > one.value ? other : one));
  const [row, column] = [strongest.first, strongest.second].map((name) => factors.findIndex((factor) => factor.name === name));
  pick(row, column);
  const both = `${plain(strongest.first)} and ${plain(strongest.second)}`;
  const advice = strongest.value >= STRONG
    ? `${both} go together (${share(strongest.value)}): an edit of one may drag the other along. Images that break the pattern help most.`
    : `No two factors go together strongly; the most are ${both} (${share(strongest.value)}).`;
  return h("section", { class: "panel", "aria-labelledby": "together-title" },
    h("h2", { id: "together-title" }, "What goes together"),
    h("p", {}, advice),
    h("p", { class: "small muted" }, "0 is independent, 1 always together. Pick a cell to see how often its levels meet."), map, detail);
}

function turned(pair) {
  const { table } = pair;
  return { ...pair, first: pair.second, second: pair.first, table: table && table[0].map((_, column) => table.map((row) => row[column])) };
}

function cells(one, other, pair) {
  const [first, second] = [one, other].map(levelsOf);
  const title = h("h3", {}, `${plain(one.name)} by ${plain(other.name)}`);
  if (!pair.table) {
    return [title, h("p", { class: "small muted" }, first && second
      ? `Too many pairs of levels to show; ${plain(pair.measure)} ${share(pair.value)} over ${counted(pair.rows, "image")}.`
      : `One of them is a number, so no levels meet; ${plain(pair.measure)} ${share(pair.value)} over ${counted(pair.rows, "image")}.`)];
  }
  const most = Math.max(1, ...pair.table.flat());
  const thin = pair.table.flat().filter((count) => count < THIN).length;
  return [title,
    h("p", { class: "small muted" }, thin
      ? `${counted(thin, "pair")} of levels with fewer than ${THIN} images, marked: too few to tell the two factors apart there.`
      : `Every pair of levels has at least ${THIN} images.`),
    heatMap({
      label: `Images by ${plain(one.name)} and ${plain(other.name)}`, corner: "", rows: first, columns: second,
      cell: (row, column) => ({
        text: String(pair.table[row][column]), share: pair.table[row][column] / most, bad: pair.table[row][column] < THIN,
        words: `${first[row]} and ${second[column]}: ${counted(pair.table[row][column], "image")}`,
      }),
    })];
}

function levelsOf(factor) {
  return factor.kind === "binary" ? ["off", "on"] : (factor.levels ?? null);
}
