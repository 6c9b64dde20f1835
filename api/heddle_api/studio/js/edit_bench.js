// The bench of the edit view: a picture, the factors' controls, the readings, and what to do with the result.
import { alertOf } from "./alert.js";
import { curlOf, pythonOf } from "./curl.js";
import { fill, h, notify, save } from "./dom.js";
import { editWarning } from "./edit_warning.js";
import { Editor } from "./editor.js";
import { factorControl } from "./factor_control.js";
import { feedbackButtons } from "./feedback_buttons.js";
import { fileDrop } from "./file_drop.js";
import { picturePair } from "./picture_pair.js";
import { readingsTable } from "./readings.js";
import { traversalPanel } from "./traversal.js";

const TYPES = ["image/png", "image/jpeg", "image/webp"];

/** @param {object} version the version to edit with; its gate says which factors are refused, and why */
export function editBench(api, reference, factors, version) {
  const editor = new Editor(api);
  editor.useAdapter(reference);
  const pair = picturePair();
  const readings = readingsTable();
  const trouble = h("div");
  const controls = factors.map((factor) => [factor, factorControl(factor, refusalOf(version, factor.name), (value) => editor.change(factor.name, value))]);
  const chooser = pictureDrop((file) => editor.load(file));
  const actions = actionsOf(api, editor);
  const traversal = traversalPanel(editor, factors.filter((factor) => !refusalOf(version, factor.name)));
  const warning = h("div", { role: "status" });
  const pictures = h("section", { class: "panel pictures", "aria-label": "Pictures" }, pair.element, warning, trouble);
  const actionsPanel = h("section", { class: "panel actions", "aria-label": "What to do with it" }, pair.facts, actions.element);
  const factorsPanel = h("section", { class: "panel factors-panel", "aria-label": "Factors" },
    h("h2", {}, "Factors"), h("div", { class: "factors" }, controls.map(([, control]) => control.element)));
  const readingsPanel = h("section", { class: "panel readings-panel", "aria-label": "Readings" }, h("h2", {}, "Readings"), readings.element);

  let warned = null;
  const warn = () => {
    if (editor.working) return; // what is said stays until the next answer, so that its button holds still
    const found = editWarning(editor);
    const now = JSON.stringify([found?.words, editor.set]);
    if (now === warned) return;
    warned = now;
    fill(warning, found?.element);
  };
  const show = () => {
    const there = Boolean(editor.original);
    element.classList.toggle("bare", !there);
    chooser.shrink(there);
    pair.show(editor);
    for (const [factor, control] of controls) control.show(editor.set[factor.name] ?? null, editor.before?.[factor.name]);
    readings.show(factors, editor.set, editor.before, editor.after);
    actions.show();
    traversal.show();
    warn();
    fill(trouble, editor.error && [alertOf(editor.error), h("p", {}, h("button", { type: "button", onclick: () => editor.retry() }, "Try again"))]);
  };
  const element = h("div", { class: "stack" },
    h("div", { class: "bench" },
      h("div", { class: "left" }, chooser.element, pictures, readingsPanel),
      h("div", { class: "right" }, factorsPanel, actionsPanel)), traversal.element);
  element.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input[type=number], input[type=text], textarea");
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !typing) {
      event.preventDefault();
      editor.undo();
    }
  });
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

function pictureDrop(onFile) {
  const refuse = (file) => (TYPES.includes(file.type) ? null : `${file.name} is ${file.type || "no picture"}; choose a PNG, JPEG or WebP.`);
  const { element, say } = fileDrop({ id: "picture", label: "Choose a picture", accept: TYPES.join(","), refuse, onFile });
  const shrink = (small) => {
    const link = h("strong", {}, "choose one");
    say(small ? ["Drop another picture here, or ", link] : [h("span", { class: "big" }, "Drop a picture here, or ", link), "PNG, JPEG or WebP. It goes to your edge and nowhere else."], small);
  };
  return { element, shrink };
}

function actionsOf(api, editor) {
  const undo = h("button", { type: "button", title: "Ctrl+Z", onclick: () => editor.undo() }, "Undo");
  const reset = h("button", { type: "button", onclick: () => editor.reset() }, "Reset");
  const download = h("button", { type: "button", onclick: () => save(editor.result.blob, "edited.png") }, "Download");
  const copy = h("button", { type: "button", onclick: () => copied(command.textContent, "run it beside the picture") }, "Copy as curl");
  const copyPython = h("button", { type: "button", onclick: () => copied(script.textContent, "run it beside the picture") }, "Copy as Python");
  const command = h("pre", { tabindex: "0", "aria-label": "The edit as a curl command" });
  const script = h("pre", { tabindex: "0", "aria-label": "The edit as a Python script" });
  const feedback = (api.scopes ?? []).includes("feedback") ? feedbackButtons(api, editor) : null;
  const more = h("details", {}, h("summary", {}, "Show the request"), command, script);
  const detail = h("select", { id: "detail" },
    [["auto", "Drawn as the scorecard says"], ["preserve", "Only the change"], ["decode", "Drawn anew"]].map(([value, words]) => h("option", { value }, words)));
  detail.addEventListener("change", () => editor.draw(detail.value));
  const show = () => {
    undo.disabled = !editor.past.length;
    reset.disabled = !editor.edited;
    download.disabled = !editor.result;
    copy.disabled = copyPython.disabled = !editor.edited;
    feedback?.show();
    const name = editor.original?.name ?? "picture.png";
    command.textContent = curlOf(api.edgeUrl, editor.document, name);
    script.textContent = pythonOf(api.edgeUrl, editor.document, name);
  };
  const element = h("div", { class: "stack" },
    h("div", { class: "row" }, undo, reset, download, copy, copyPython), feedback?.element ?? "",
    h("div", { class: "field" }, h("label", { for: "detail", class: "small" }, "How the edit is drawn"), detail), more);
  return { element, show };
}

async function copied(text, then) {
  try {
    await navigator.clipboard.writeText(text);
    notify(`Copied; set HEDDLE_API_KEY in your shell and ${then}.`);
  } catch {
    notify("The browser does not allow copying; open “Show the request” and copy it there.");
  }
}
