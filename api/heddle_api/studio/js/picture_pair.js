// The original and the edit: side by side, behind a line that can be dragged, one held against the other, or only what
// differs; and what the edge said about the answer.
import { difference } from "./difference.js";
import { fill, h } from "./dom.js";
import { whyDrawn } from "./edit_warning.js";
import { percent } from "./words.js";

const MODES = [["side", "Side by side"], ["split", "Split"], ["hold", "Hold"], ["difference", "Difference"]];
const CACHES = { hit: "from the cache", latent: "decoded from the kept latent", miss: "encoded and decoded" };

/** Two figures and, beside them, the facts; `show(editor)` brings all up to date. */
export function picturePair() {
  const before = figure("Original");
  const after = figure("Edited");
  const facts = h("div", { class: "facts", "aria-live": "polite" });
  const show = (editor) => {
    before.show(editor.original, "The picture you chose");
    after.show(editor.result?.blob ?? editor.original, editor.result ? "The edited picture" : "Not edited yet: the picture you chose");
    after.element.classList.toggle("working", editor.working);
    after.element.setAttribute("aria-busy", String(editor.working));
    fill(facts, editor.result ? factsOf(editor.result) : []);
  };
  const stop = () => [before, after].forEach((each) => each.stop());
  const pair = h("div", { class: "pair", "data-mode": "side" }, before.element, after.element);
  const place = h("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": "Where the line between original and edit stands, in percent", class: "split-range" });
  place.addEventListener("input", () => pair.style.setProperty("--split", `${place.value}%`));
  const held = h("button", { type: "button", "aria-pressed": "false" }, "Hold to see the original");
  const hold = (on) => {
    pair.classList.toggle("held", on);
    held.setAttribute("aria-pressed", String(on));
  };
  for (const type of ["pointerdown", "keydown"]) held.addEventListener(type, (event) => (type === "pointerdown" || event.key === " " || event.key === "Enter") && hold(true));
  for (const type of ["pointerup", "pointerleave", "pointercancel", "keyup", "blur"]) held.addEventListener(type, () => hold(false));
  const drawn = h("canvas", { class: "difference", role: "img", "aria-label": "What differs between original and edit, four times as strong" });
  const said = h("p", { class: "small muted" });
  const extra = h("div", { class: "compare-extra" });
  const buttons = MODES.map(([mode, words]) => h("button", { type: "button", "data-mode": mode, "aria-pressed": "false", "aria-label": mode === "hold" && "Hold to compare", onclick: () => choose(mode) }, words));
  let latest = null;
  const compare = async () => {
    if (pair.dataset.mode !== "difference" || !latest?.original) return;
    const share = await difference(latest.original, latest.result?.blob ?? latest.original, drawn);
    if (share !== null) said.textContent = share < 0.0005 ? "No pixel differs." : `${percent(share)} of the pixels differ visibly.`;
  };
  const choose = (mode) => {
    pair.dataset.mode = mode;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    fill(extra, mode === "split" && place, mode === "hold" && held, mode === "difference" && [h("div", { class: "frame" }, drawn), said]);
    compare();
  };
  choose("side");
  const showAll = (editor) => {
    show(editor);
    const changed = latest?.original !== editor.original || latest?.result !== editor.result;
    latest = { original: editor.original, result: editor.result };
    if (changed) compare();
  };
  const element = h("div", { class: "stack" },
    h("div", { class: "segments", role: "group", "aria-label": "How to compare" }, buttons), pair, extra);
  return { element, facts, show: showAll, stop };
}

function figure(name) {
  const image = h("img", { alt: "" });
  const element = h("figure", { class: "picture", "data-picture": name.toLowerCase() },
    h("figcaption", {}, name), h("div", { class: "frame" }, image));
  let shown = null;
  const show = (blob, words) => {
    image.alt = words;
    if (blob === shown) return;
    const old = image.src;
    shown = blob;
    image.src = blob ? URL.createObjectURL(blob) : "";
    if (old) URL.revokeObjectURL(old);
  };
  const stop = () => image.src && URL.revokeObjectURL(image.src);
  return { element, show, stop };
}

function factsOf(result) {
  return [
    h("span", { class: "badge" }, result.version),
    h("span", { class: "badge" }, CACHES[result.cache] ?? result.cache),
    h("span", { class: "badge" }, `${Math.round(result.ms)} ms`),
    result.detail && h("span", { class: "badge" }, [result.detail === "preserve" ? "only the change is drawn" : "drawn anew", whyDrawn(result.reason)].filter(Boolean).join(": ")),
  ];
}
