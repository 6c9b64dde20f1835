// Counts as bars: one list per factor, each line a level, its count and how it compares with the others.
import { h } from "./dom.js";
import { plain } from "./words.js";

/**
 * @param {string} name the factor
 * @param {[string, number][]} counts level -> images, in the order of the levels
 * @param {{note?: string, tone?: string}} remark
 */
export function bars(name, counts, { note = "", tone = "" } = {}) {
  const most = Math.max(1, ...counts.map(([, count]) => count));
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  const lines = counts.map(([level, count]) => {
    const bar = h("span", { class: "bar-fill", "aria-hidden": "true" });
    bar.style.setProperty("--share", (count / most).toFixed(4));
    const part = total ? `, ${Math.round((100 * count) / total)} %` : "";
    return h("li", { class: count ? "" : "none" },
      h("span", { class: "bar-name" }, level), h("span", { class: "bar-track" }, bar),
      h("span", { class: "bar-count" }, String(count), h("span", { class: "visually-hidden" }, ` images${part}`)));
  });
  return h("section", { class: "bars", "aria-label": `Images per level of ${plain(name)}` },
    h("h3", {}, plain(name)),
    h("ul", {}, lines),
    note && h("p", { class: `small ${tone || "muted"}` }, note));
}
