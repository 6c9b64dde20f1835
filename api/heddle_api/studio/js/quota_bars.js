// A quota as bars: what is used of each limit, and the limits that nothing is used up of.
import { h } from "./dom.js";
import { bytes, plain } from "./words.js";

const NAMES = {
  images: "Images", labelled_rows: "Labelled rows", bytes: "Storage", adapters: "Adapters", running_jobs: "Jobs running", queued_jobs: "Jobs waiting",
};
const NEARLY = 0.8;

/** @param {{limits: object, used: object, own: string[]}} quota */
export function quotaBars({ limits, used, own }) {
  const told = (name, amount) => (name === "bytes" ? bytes(amount) : amount.toLocaleString("en"));
  const bars = Object.entries(NAMES).map(([name, words]) => {
    const limit = limits[name];
    const share = limit === null ? 0 : limit === 0 ? 1 : used[name] / limit;
    const bar = h("i", { "aria-hidden": "true" });
    bar.style.setProperty("--share", Math.min(1, share).toFixed(4));
    const tone = share >= 1 ? "full" : share >= NEARLY ? "nearly" : "";
    const said = limit === null ? `${told(name, used[name])}, as many as there is room for` : `${told(name, used[name])} of ${told(name, limit)}`;
    const note = share >= 1 ? "nothing more is taken" : share >= NEARLY ? `${Math.round(100 * share)} % used` : "";
    return h("div", { class: tone, "data-limit": name },
      h("dt", {}, words, own.includes(name) && h("span", { class: "badge" }, "set for this tenant")),
      h("dd", {}, h("span", { class: "track" }, bar), h("span", {}, said, note && h("span", { class: "note" }, ` · ${note}`))));
  });
  const rates = ["requests_per_second", "burst", "weight"].map((name) =>
    h("div", {}, h("dt", {}, { requests_per_second: "Requests a second", burst: "At once after a pause", weight: "Weight in the queue" }[name] ?? plain(name)),
      h("dd", {}, limits[name].toLocaleString("en"))));
  return h("div", { class: "stack" }, h("dl", { class: "quota" }, bars), h("dl", { class: "figures" }, rates));
}
