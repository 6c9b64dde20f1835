// The bench of the edit view: a picture, the factors' controls, the readings, and what to do with the result.
import { alertOf } from "./alert.js";
import { curlOf } from "./curl.js";
import { fill, h, notify, save } from "./dom.js";
import { Editor } from "./editor.js";
import { factorControl } from "./factor_control.js";
import { picturePair } from "./picture_pair.js";
import { readingsTable } from "./readings.js";

const TYPES = ["image/png", "image/jpeg", "image/webp"];

/** @param {object} version the version to edit with; its gate says which factors are refused, and why */
export function editBench(api, reference, factors, version) {
  const editor = new Editor(api);
  editor.useAdapter(reference);
  const pair = picturePair();
  const readings = readingsTable();
  const trouble = h("div");
  const controls = factors.map((factor) => [factor, factorControl(factor, refusalOf(version, factor.name), (value) => editor.change(factor.name, value))]);
  const chooser = dropZone((file) => editor.load(file));
  const actions = actionsOf(api, editor);
  const pictures = h("section", { class: "panel pictures", "aria-label": "Pictures" }, pair.element, trouble);
  const actionsPanel = h("section", { class: "panel actions", "aria-label": "What to do with it" }, pair.facts, actions.element);
  const factorsPanel = h("section", { class: "panel factors-panel", "aria-label": "Factors" },
    h("h2", {}, "Factors"), h("div", { class: "factors" }, controls.map(([, control]) => control.element)));
  const readingsPanel = h("section", { class: "panel readings-panel", "aria-label": "Readings" }, h("h2", {}, "Readings"), readings.element);

  const show = () => {
    const there = Boolean(editor.original);
    element.classList.toggle("bare", !there);
    chooser.shrink(there);
    pair.show(editor);
    for (const [factor, control] of controls) control.show(editor.set[factor.name] ?? null, editor.before?.[factor.name]);
    readings.show(factors, editor.set, editor.before, editor.after);
    actions.show();
    fill(trouble, editor.error && alertOf(editor.error));
  };
  const element = h("div", { class: "bench" },
    h("div", { class: "left" }, chooser.element, pictures, actionsPanel),
    h("div", { class: "right" }, factorsPanel, readingsPanel));
  editor.addEventListener("change", show);
  show();
  const stop = () => {
    editor.stop();
    pair.stop();
  };
  return { element, editor, open: (file) => editor.load(file), stop };
}

function refusalOf(version, name) {
  const verdict = version.gate.factors?.[name];
  return !verdict || verdict.passed ? null : (verdict.reasons[0] ?? "the gate refused it; see the scorecard");
}

function dropZone(onFile) {
  const input = h("input", { id: "picture", type: "file", accept: TYPES.join(","), "aria-label": "Choose a picture" });
  const words = h("p");
  const trouble = h("div");
  const take = (file) => {
    fill(trouble);
    if (!file) return;
    if (!TYPES.includes(file.type)) {
      fill(trouble, h("p", { class: "alert", role: "alert" }, `${file.name} is ${file.type || "no picture"}; choose a PNG, JPEG or WebP.`));
      return;
    }
    onFile(file);
  };
  input.addEventListener("change", () => take(input.files[0]));
  const zone = h("label", { class: "drop empty", for: "picture" }, input, words);
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
  const shrink = (small) => {
    zone.classList.toggle("small-zone", small);
    const link = h("strong", {}, "choose one");
    fill(words, small ? ["Drop another picture here, or ", link] : [h("span", { class: "big" }, "Drop a picture here, or ", link), "PNG, JPEG or WebP. It goes to your edge and nowhere else."]);
  };
  return { element: h("div", { class: "stack chooser" }, zone, trouble), shrink };
}

function actionsOf(api, editor) {
  const reset = h("button", { type: "button", onclick: () => editor.reset() }, "Reset");
  const download = h("button", { type: "button", onclick: () => save(editor.result.blob, "edited.png") }, "Download");
  const copy = h("button", { type: "button", onclick: () => copied(command.textContent) }, "Copy as curl");
  const command = h("pre", { tabindex: "0", "aria-label": "The edit as a curl command" });
  const more = h("details", {}, h("summary", {}, "Show the request"), command);
  const detail = h("select", { id: "detail" },
    [["auto", "Drawn as the scorecard says"], ["preserve", "Only the change"], ["decode", "Drawn anew"]].map(([value, words]) => h("option", { value }, words)));
  detail.addEventListener("change", () => editor.draw(detail.value));
  const show = () => {
    reset.disabled = !editor.edited;
    download.disabled = !editor.result;
    copy.disabled = !editor.edited;
    command.textContent = curlOf(api.edgeUrl, editor.document, editor.original?.name ?? "picture.png");
  };
  const element = h("div", { class: "stack" },
    h("div", { class: "row" }, reset, download, copy),
    h("div", { class: "field" }, h("label", { for: "detail", class: "small" }, "How the edit is drawn"), detail), more);
  return { element, show };
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    notify("Copied; set HEDDLE_API_KEY in your shell and run it beside the picture.");
  } catch {
    notify("The browser does not allow copying; open “Show the request” and copy it there.");
  }
}
