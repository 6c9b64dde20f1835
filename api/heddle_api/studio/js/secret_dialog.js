// A secret that is shown once: to be copied and handed over, then forgotten.
import { openDialog } from "./dialog.js";
import { h, notify } from "./dom.js";

/** @param {{title: string, label: string, secret: string, say?: string}} shown `label` names it to screen readers */
export function showSecret({ title, label, secret, say = "Keep it now: it is shown this once and stored nowhere." }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(secret);
      notify("Copied.");
    } catch {
      notify("The browser does not allow copying; select it and copy it by hand.");
    }
  };
  openDialog(title, (close) => [
    h("p", {}, say),
    h("pre", { tabindex: 0, class: "secret", "aria-label": label }, secret),
    h("div", { class: "row" },
      h("button", { type: "button", class: "primary", onclick: copy }, "Copy"),
      h("button", { type: "button", onclick: close }, "I have it")),
  ]);
}
