// An effect curve: how far a factor moves at each strength, with its interval and the strengths that can be used.
import { h, s } from "./dom.js";
import { plain, share } from "./words.js";

const [WIDE, HIGH, LEFT, TOP, RIGHT, BOTTOM] = [300, 190, 34, 12, 10, 30];

/** @param {{factor: string, unit: string, points: object[], unit_effect: number, monotone: number, usable: [number, number], pictures: number}} curve */
export function effectCurve(curve) {
  const points = [...curve.points, { strength: 0, effect: 0, interval: [0, 0] }].sort((a, b) => a.strength - b.strength);
  const ends = points.flatMap(({ interval }) => interval).concat(points.map(({ effect }) => effect), [-1, 1]);
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const [least, most] = [points[0].strength, points.at(-1).strength];
  const x = (strength) => LEFT + ((strength - least) / (most - least)) * (WIDE - LEFT - RIGHT);
  const y = (effect) => TOP + ((high - effect) / (high - low)) * (HIGH - TOP - BOTTOM);
  const at = (strength, effect) => `${x(strength).toFixed(1)},${y(effect).toFixed(1)}`;
  const band = [...points.map((point) => at(point.strength, point.interval[1])), ...points.toReversed().map((point) => at(point.strength, point.interval[0]))];
  const [from, to] = curve.usable.map((strength) => Math.max(least, Math.min(most, strength)));
  const said = `Strength 1 gives ${share(curve.unit_effect)} ${curve.unit === "sd" ? "standard deviations" : "of the way"}; usable from ${share(curve.usable[0])} to ${share(curve.usable[1])}; rises in ${Math.round(100 * curve.monotone)} % of steps.`;
  const drawing = s("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": `Effect of ${plain(curve.factor)} by strength. ${said}` },
    s("rect", { class: "usable", x: x(from), y: TOP, width: Math.max(0, x(to) - x(from)), height: HIGH - TOP - BOTTOM }),
    s("line", { class: "axis", x1: LEFT, x2: WIDE - RIGHT, y1: y(0), y2: y(0) }),
    s("line", { class: "axis", x1: x(0), x2: x(0), y1: TOP, y2: HIGH - BOTTOM }),
    s("line", { class: "ideal", x1: x(Math.max(least, low)), y1: y(Math.max(least, low)), x2: x(Math.min(most, high)), y2: y(Math.min(most, high)) }),
    s("polygon", { class: "band", points: band.join(" ") }),
    s("polyline", { class: "line", points: points.map((point) => at(point.strength, point.effect)).join(" ") }),
    points.map((point) => s("circle", { class: "dot", cx: x(point.strength), cy: y(point.effect), r: 3 })),
    [least, 0, most].map((strength) => s("text", { x: x(strength), y: HIGH - 12, "text-anchor": "middle" }, String(strength))),
    [-1, 0, 1].map((effect) => s("text", { x: LEFT - 6, y: y(effect) + 4, "text-anchor": "end" }, String(effect))));
  return h("figure", { class: "curve" }, h("h3", {}, plain(curve.factor)), drawing, h("figcaption", { class: "small muted" }, said));
}
