// The original and the edit side by side, and what the edge said about the answer.
import { fill, h } from "./dom.js";
import { percent } from "./words.js";

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
  return { element: h("div", { class: "pair" }, before.element, after.element), facts, show, stop };
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
    result.detail && h("span", { class: "badge" }, result.detail === "preserve" ? "only the change is drawn" : "drawn anew"),
    result.extrapolation && h("span", { class: "badge warn" },
      `${percent(Number(result.extrapolation) - 1)} beyond your images: ask for less at once`),
  ];
}
