// A place whose content is asked for: it says that it waits, shows what came, or why it did not and a way to try again.
import { alertOf } from "./alert.js";
import { fill, h } from "./dom.js";

/**
 * @param {string} waiting what is said meanwhile
 * @param {() => Promise<(Node|false)[]>} contentOf asks and makes what is shown
 * @returns {{element: HTMLElement, load: () => Promise<void>, stop: () => void}}
 */
export function loaded(waiting, contentOf) {
  const element = h("div", { class: "stack" }, h("p", { class: "muted" }, waiting));
  let asked = 0;
  const load = async () => {
    const turn = ++asked;
    try {
      const content = await contentOf();
      if (turn === asked) fill(element, content);
    } catch (error) {
      if (turn === asked) fill(element, alertOf(error), h("p", {}, h("button", { type: "button", onclick: load }, "Try again")));
    }
  };
  return { element, load, stop: () => { asked += 1; } };
}

/** An empty state: what is not there yet, and what to do about it. @param {...(Node|string)} more below the sentence */
export function empty(title, sentence, ...more) {
  return h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, sentence), ...more);
}
