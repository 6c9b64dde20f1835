// Taking a version home: the one-file editor, and what to do with it.
import { h, notify, save } from "./dom.js";

/** A fold that opens to a sentence and a button; the file is fetched with the key, which no link could carry. */
export function takeHome(api, { adapter, version }) {
  const name = `${adapter}-${version}.editor.onnx`;
  const fetchIt = async () => {
    button.disabled = true;
    try {
      save(await api.getBlob(`/v1/adapters/${encodeURIComponent(adapter)}/versions/${version}/download?format=editor`), name);
    } catch (error) {
      notify(error.message);
    }
    button.disabled = false;
  };
  const button = h("button", { type: "button", onclick: fetchIt }, "Download the editor");
  return h("details", {},
    h("summary", {}, "Take it home"),
    h("p", { class: "small" },
      "One ONNX file, about 11 MB, that edits pictures without Heddle: uint8 pictures of 64 × 64 and an edit vector in, pictures and readings out. ",
      "It runs in ONNX Runtime and, with onnxruntime-web, in a browser; docs/editor.md holds the few lines of Python and JavaScript."),
    button);
}
