// Uploading a labelled set: choose its name and factors, then watch it go; it goes on while other views are read.
import { alertOf } from "./alert.js";
import { openDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { bytes, percent } from "./words.js";

/**
 * Ask what a zip becomes.
 * @param {File} file
 * @param {object[]} factorSets at least one
 * @param {(wanted: {name: string, factorSet: string}) => void} onWanted
 */
export function askUpload(file, factorSets, onWanted) {
  const name = h("input", { id: "set-name", type: "text", required: true, maxlength: 200, value: file.name.replace(/\.(zip|parquet)$/i, "") });
  const factors = h("select", { id: "set-factors" },
    factorSets.map((set) => h("option", { value: set.id }, `${set.name} (version ${set.version})`)));
  const onsubmit = () => {
    dialog.close();
    onWanted({ name: name.value.trim(), factorSet: factors.value });
  };
  const dialog = openDialog("Upload a labelled set", (close) => [
    h("p", { class: "muted" }, `${file.name}, ${bytes(file.size)}. It is checked row by row before anything is fitted on it.`),
    h("div", { class: "field" }, h("label", { for: "set-name" }, "Name"), name),
    h("div", { class: "field" }, h("label", { for: "set-factors" }, "Factors it is labelled with"), factors),
    h("div", { class: "row" },
      h("button", { type: "submit", class: "primary" }, "Upload"),
      h("button", { type: "button", onclick: close }, "Cancel")),
  ], { onsubmit });
}

const SAID = {
  waiting: () => "Waiting …",
  hashing: (share) => `Computing the checksum … ${percent(share)}`,
  sending: (share) => `Sending … ${percent(share)}`,
  registering: () => "Putting it together …",
  paused: (share) => `Stopped at ${percent(share)}; what was sent is kept.`,
  done: () => "Arrived. Its labels are being checked.",
};

/** A panel for one upload, brought up to date by its events. */
export function uploadPanel(upload, onDismiss) {
  const bar = h("progress", { max: 1, value: 0, "aria-label": `Upload of ${upload.file.name}` });
  const said = h("p", { class: "small muted" });
  const trouble = h("div");
  const pause = h("button", { type: "button", onclick: () => upload.pause() }, "Pause");
  const resume = h("button", { type: "button", class: "primary", onclick: () => upload.run() }, "Go on");
  const dismiss = h("button", { type: "button", class: "quiet", onclick: onDismiss }, "Dismiss");
  const show = () => {
    bar.value = upload.share;
    said.textContent = SAID[upload.state](upload.share);
    pause.hidden = upload.state !== "sending";
    resume.hidden = upload.state !== "paused";
    dismiss.hidden = !["paused", "done"].includes(upload.state);
    fill(trouble, upload.error && alertOf(upload.error));
  };
  upload.addEventListener("change", show);
  show();
  return h("article", { class: "panel", "aria-label": `Upload of ${upload.file.name}` },
    h("div", { class: "row spread" },
      h("h3", {}, upload.wanted.name, h("span", { class: "muted small" }, ` ${upload.file.name}, ${bytes(upload.file.size)}`)),
      h("div", { class: "row" }, pause, resume, dismiss)),
    bar, said, trouble);
}
