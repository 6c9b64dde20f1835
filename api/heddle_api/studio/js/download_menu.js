// Taking a version home: the matrices, its graph, or the one-file editor. Fetched with the key, which no link can carry.
import { h, notify, save } from "./dom.js";

const FORMATS = [
  ["editor", "Download the editor", "editor.onnx"],
  ["onnx", "ONNX graph", "onnx"],
  ["npz", "Matrices (npz)", "npz"],
];

/** A fold that opens to a sentence and a button for each format. */
export function takeHome(api, { adapter, version }) {
  const buttons = FORMATS.map(([format, words, ending]) => {
    const button = h("button", { type: "button", onclick: async () => {
      button.disabled = true;
      try {
        const path = `/v1/adapters/${encodeURIComponent(adapter)}/versions/${version}/download?format=${format}`;
        save(await api.getBlob(path), `${adapter}-${version}.${ending}`);
      } catch (error) {
        notify(error.message);
      }
      button.disabled = false;
    } }, words);
    return button;
  });
  return h("details", {},
    h("summary", {}, "Take it home"),
    h("p", { class: "small" },
      "The editor is one ONNX file, about 11 MB, that edits pictures without Heddle: uint8 pictures of 64 × 64 and an edit vector in, pictures and readings out. ",
      "It runs in ONNX Runtime and, with onnxruntime-web, in a browser; docs/editor.md holds the few lines of Python and JavaScript."),
    h("div", { class: "row" }, buttons));
}
