// Asking before something is done: what will happen, fields if any, one button that does it, and failures in words.
import { alertOf } from "./alert.js";
import { openDialog } from "./dialog.js";
import { fill, h } from "./dom.js";

/**
 * @param {{title: string, say?: (Node|string)[]|string, fields?: Node[], verb: string, danger?: boolean, wide?: boolean,
 *   work: () => Promise<any>, onDone?: (result: any) => void}} question `work` does it; what it throws is shown
 * @returns {HTMLDialogElement}
 */
export function askFor({ title, say = [], fields = [], verb, danger = false, wide = false, work, onDone }) {
  const trouble = h("div");
  const submit = h("button", { type: "submit", class: danger ? "primary danger" : "primary" }, verb);
  const onsubmit = async () => {
    submit.disabled = true;
    fill(trouble);
    try {
      const result = await work();
      dialog.close();
      onDone?.(result);
    } catch (error) {
      fill(trouble, alertOf(error));
      submit.disabled = false;
    }
  };
  const dialog = openDialog(title, (close) => [
    say.length > 0 && h("p", { class: "muted" }, say), ...fields, trouble,
    h("div", { class: "row" }, submit, h("button", { type: "button", onclick: close }, "Cancel")),
  ], { onsubmit, wide });
  return dialog;
}

/** A labelled field. @param {string} label @param {HTMLElement} input has an id @param {string} [help] */
export function field(label, input, help = "") {
  const id = `${input.id}-help`;
  if (help) input.setAttribute("aria-describedby", id);
  return h("div", { class: "field" }, h("label", { for: input.id }, label), input, help && h("p", { id, class: "small muted" }, help));
}

/** Boxes to tick. @param {string} legend @param {[string, string][]} options value and words @param {string[]} ticked */
export function tickBoxes(legend, options, ticked) {
  const boxes = options.map(([value, words]) => {
    const input = h("input", { type: "checkbox", value, checked: ticked.includes(value) });
    return { input, element: h("label", { class: "chip tick" }, input, words) };
  });
  const element = h("fieldset", { class: "field plain" }, h("legend", { class: "label" }, legend),
    h("div", { class: "options" }, boxes.map((each) => each.element)));
  return { element, ticked: () => boxes.filter(({ input }) => input.checked).map(({ input }) => input.value) };
}
