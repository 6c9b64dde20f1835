// Dialogs: Escape closes them, and the focus goes back to where the reader was.
import { h } from "./dom.js";

let counter = 0;

/**
 * Open a dialog; it removes itself when it closes.
 * @param {string} title
 * @param {(close: () => void) => Node[]} contentOf makes what stands below the title
 * @param {{wide?: boolean, onsubmit?: (event: SubmitEvent) => void}} options with `onsubmit` the content is a form
 * @returns {HTMLDialogElement}
 */
export function openDialog(title, contentOf, { wide = false, onsubmit } = {}) {
  const opener = document.activeElement;
  const id = `dialog-${++counter}`;
  const close = () => dialog.close();
  const inside = onsubmit ? h("form", { onsubmit: prevented(onsubmit) }) : h("div", { class: "inside" });
  const dialog = h("dialog", { "aria-labelledby": id, class: wide ? "wide" : null }, inside);
  inside.append(h("h2", { id }, title), ...contentOf(close).flat().filter(Boolean));
  dialog.addEventListener("close", () => {
    dialog.remove();
    giveBack(opener);
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Put the focus back, or onto the content where what had it is gone. */
export function giveBack(opener) {
  if (opener?.isConnected) opener.focus();
  else document.getElementById("main").focus();
}

function prevented(onsubmit) {
  return (event) => {
    event.preventDefault();
    onsubmit(event);
  };
}
