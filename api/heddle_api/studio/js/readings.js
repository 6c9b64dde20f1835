// What every factor reads as, before and after, and what else moved.
import { fill, h } from "./dom.js";
import { percent, plain, value } from "./words.js";

const NUMBER_MOVED = 0.1; // share of a number's range or period that counts as having moved

/** The table; `show` brings it up to date. */
export function readingsTable() {
  const body = h("tbody");
  const summary = h("p", { class: "small muted", "aria-live": "polite" });
  const table = h("table", { class: "readings" },
    h("thead", {}, h("tr", {}, ["Factor", "Before", "After"].map((name) => h("th", { scope: "col" }, name)))), body);
  const show = (factors, set, before, after) => {
    fill(body, factors.map((factor) => row(factor, set, before, after)));
    summary.textContent = told(factors, set, before, after);
  };
  return { element: h("div", { class: "stack" }, table, summary), show };
}

function row(factor, set, before, after) {
  const { name } = factor;
  const wanted = name in set;
  const changed = Boolean(before && after && moved(factor, before[name], after[name]));
  const kind = wanted ? "set" : changed ? "moved" : "";
  return h("tr", { class: kind, "data-factor": name },
    h("th", { scope: "row" }, plain(name)), h("td", {}, cell(before?.[name])), h("td", {}, cell(after?.[name]), changed && !wanted && h("span", { class: "badge warn" }, "moved, too")));
}

function cell(reading) {
  if (!reading) return "–";
  return [value(reading.value), h("span", { class: "sure" }, percent(reading.confidence))];
}

function moved(factor, before, after) {
  if (!before || !after) return false;
  if (factor.kind === "continuous") {
    return Math.abs(after.value - before.value) > NUMBER_MOVED * (factor.range[1] - factor.range[0]);
  }
  if (factor.kind === "periodic") {
    const apart = Math.abs(after.value - before.value) % factor.period;
    return Math.min(apart, factor.period - apart) > NUMBER_MOVED * factor.period;
  }
  return before.value !== after.value;
}

function told(factors, set, before, after) {
  if (!before) return "The percentage is how sure the adapter is, calibrated on your labels.";
  if (!after) return Object.keys(set).length ? "Reading the result …" : "Change a factor to see what it does, and what else moves.";
  const others = factors.filter(({ name }) => !(name in set));
  const drifted = others.filter((factor) => moved(factor, before[factor.name], after[factor.name]));
  if (!drifted.length) return "Nothing else moved.";
  const words = drifted.map(({ name }) => `${plain(name)} (${value(before[name].value)} → ${value(after[name].value)})`);
  return `Also moved: ${words.join(", ")}.`;
}
