// Amounts by the hour as columns, drawn to the width there is, with the same numbers as a table behind them.
import { h, s } from "./dom.js";
import { bytes, moment } from "./words.js";

const [HIGH, LEFT, TOP, BOTTOM] = [200, 58, 12, 26];
const [LEAST, MOST] = [260, 1100];
const LABEL_WIDTH = 120;

/** @param {{at: Date, amount: number}[]} points hour by hour @param {string} name @param {boolean} asBytes */
export function hourChart(points, name, asBytes) {
  const spoken = (amount) => (asBytes ? bytes(amount) : amount.toLocaleString("en"));
  const most = Math.max(...points.map(({ amount }) => amount));
  const total = points.reduce((sum, { amount }) => sum + amount, 0);
  const peak = points.find(({ amount }) => amount === most);
  const held = name === "Bytes stored"; // an amount at a time, no sum of it means anything
  const said = most === 0 ? `${name}: none in this time.`
    : `${name}: ${held ? "" : `${spoken(total)} in all, `}most at ${moment(peak.at)} (${spoken(most)}).`;
  const frame = h("div", { class: "frame" });
  let drawn = 0;
  new ResizeObserver(([{ contentRect }]) => {
    const wide = Math.round(Math.max(LEAST, Math.min(MOST, contentRect.width)));
    if (wide === drawn) return;
    drawn = wide;
    frame.replaceChildren(drawing(points, wide, rounded(most), spoken, said));
  }).observe(frame);
  return h("figure", { class: "hours" }, frame, h("figcaption", { class: "small muted", "aria-live": "polite" }, said),
    most > 0 && h("details", {}, h("summary", {}, "The same as a table"), h("table", { class: "table snug" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Hour"), h("th", { scope: "col", class: "number" }, name))),
      h("tbody", {}, points.filter(({ amount }) => amount > 0).reverse().map(({ at, amount }) =>
        h("tr", {}, h("th", { scope: "row" }, moment(at)), h("td", { class: "number" }, spoken(amount))))))));
}

function drawing(points, wide, top, spoken, said) {
  const step = (wide - LEFT) / points.length;
  const y = (amount) => TOP + (1 - amount / top) * (HIGH - TOP - BOTTOM);
  const columns = points.map(({ at, amount }, place) => amount > 0 && s("rect", {
    class: "column", x: (LEFT + place * step + step * 0.12).toFixed(1), width: (step * 0.76).toFixed(1),
    y: Math.min(y(amount), HIGH - BOTTOM - 2).toFixed(1), height: Math.max(2, HIGH - BOTTOM - y(amount)).toFixed(1), rx: Math.min(2, step / 4).toFixed(1),
  }, s("title", {}, `${moment(at)}: ${spoken(amount)}`))).filter(Boolean);
  const every = Math.ceil(points.length / Math.max(2, Math.floor((wide - LEFT) / LABEL_WIDTH)));
  const days = points.length > 24;
  const times = points.map(({ at }, place) => [at, place]).filter(([, place]) => place % every === 0);
  return s("svg", { width: wide, height: HIGH, viewBox: `0 0 ${wide} ${HIGH}`, role: "img", "aria-label": said },
    [0, 0.5, 1].flatMap((share) => [
      s("line", { class: "axis", x1: LEFT, x2: wide, y1: y(share * top), y2: y(share * top) }),
      s("text", { x: LEFT - 8, y: y(share * top) + 4, "text-anchor": "end" }, spoken(share * top)),
    ]),
    times.map(([at, place]) => s("text", { x: LEFT + place * step, y: HIGH - 6 }, days
      ? at.toLocaleDateString([], { day: "numeric", month: "short" }) : at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }))),
    columns);
}

/** The next even round number, so that half of it is a whole one, too. */
function rounded(most) {
  if (most <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 4, 6, 8, 10].map((each) => each * power).find((each) => each >= most);
}
