// Usage of a tenant: how much of each limit is used, and what was counted hour by hour. For itself and for operators.
import { h } from "./dom.js";
import { hourChart } from "./hour_chart.js";
import { empty, loaded } from "./loaded.js";
import { quotaBars } from "./quota_bars.js";

const HOUR_MS = 3_600_000;
const SPANS = [["24 hours", 24], ["7 days", 168]];
const METRICS = [
  ["edits", "Edits"], ["requests", "Requests"], ["requests_limited", "Refused for their rate"], ["images_encoded", "Images encoded"],
  ["rows_fitted", "Rows fitted"], ["jobs", "Fits"], ["bytes_uploaded", "Bytes uploaded"], ["bytes_stored", "Bytes stored"],
];

/**
 * @param {import("./api.js").Api} api
 * @param {string} quotaPath @param {string} usagePath
 * @param {(quota: object) => Node} [aside] what stands beside the limits' title
 */
export function usagePanel(api, quotaPath, usagePath, aside) {
  let [metric, span] = ["edits", 24];
  const place = h("div", { class: "stack" });
  const panel = loaded("Reading quota and usage …", async () => {
    const from = new Date(Math.floor(Date.now() / HOUR_MS - SPANS.at(-1)[1] + 1) * HOUR_MS);
    const [quota, hours] = await Promise.all([api.get(quotaPath), api.list(`${usagePath}?from=${from.toISOString()}`, SPANS.at(-1)[1])]);
    draw(hours);
    return [
      h("section", { class: "panel", "aria-labelledby": "limits-title" },
        h("div", { class: "row spread" }, h("h2", { id: "limits-title" }, "Limits"), aside?.(quota)), quotaBars(quota)),
      h("section", { class: "panel", "aria-labelledby": "usage-title" }, h("h2", { id: "usage-title" }, "Usage by the hour"),
        hours.length ? [pickers(hours), place] : empty("Nothing was counted yet", "Edits, fits and uploads of the last seven days show here a few seconds after they happen.")),
    ];
  });
  const draw = (hours) => place.replaceChildren(hourChart(pointsOf(hours, metric, span), METRICS.find(([name]) => name === metric)[1], metric.startsWith("bytes")));
  const pickers = (hours) => {
    const select = h("select", { "aria-label": "What is counted" }, METRICS.map(([name, words]) => h("option", { value: name, selected: name === metric }, words)));
    select.addEventListener("change", () => {
      metric = select.value;
      draw(hours);
    });
    const buttons = SPANS.map(([words, count]) => h("button", { type: "button", "aria-pressed": String(count === span), onclick: () => {
      span = count;
      for (const button of buttons) button.setAttribute("aria-pressed", String(button.textContent === words));
      draw(hours);
    } }, words));
    return h("div", { class: "row" }, h("div", { class: "picker" }, select), h("div", { class: "segments", role: "group", "aria-label": "How far back" }, buttons));
  };
  return panel;
}

/** Every hour of the span up to the present one, those in which nothing was counted included. */
function pointsOf(hours, metric, span) {
  const counted = new Map(hours.map(({ hour, amounts }) => [new Date(hour).getTime(), amounts[metric] ?? 0]));
  const last = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  return Array.from({ length: span }, (_, place) => last - (span - 1 - place) * HOUR_MS).map((at) => ({ at: new Date(at), amount: counted.get(at) ?? 0 }));
}
