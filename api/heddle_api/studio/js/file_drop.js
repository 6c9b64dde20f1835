// A place to drop a file on, or to choose one; by keyboard it is an ordinary file field.
import { fill, h } from "./dom.js";

/**
 * @param {{id: string, label: string, accept: string, refuse: (file: File) => string|null, onFile: (file: File) => void}} options
 *   `refuse` says in a sentence why a file is not taken
 * @returns {{element: HTMLElement, say: (words: (Node|string)[], small: boolean) => void}}
 */
export function fileDrop({ id, label, accept, refuse, onFile }) {
  const input = h("input", { id, type: "file", accept, "aria-label": label });
  const words = h("p");
  const trouble = h("div");
  const take = (file) => {
    fill(trouble);
    if (!file) return;
    const reason = refuse(file);
    if (reason) fill(trouble, h("p", { class: "alert", role: "alert" }, reason));
    else onFile(file);
  };
  input.addEventListener("change", () => {
    take(input.files[0]);
    input.value = ""; // choosing the same file again is a change, too
  });
  const zone = h("label", { class: "drop empty", for: id }, input, words);
  for (const type of ["dragenter", "dragover"]) {
    zone.addEventListener(type, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
  const say = (text, small) => {
    zone.classList.toggle("small-zone", small);
    fill(words, text);
  };
  return { element: h("div", { class: "stack chooser" }, zone, trouble), say };
}
