// Asking before something moves: a decision with the reviewer's comment.
import { alertOf } from "./alert.js";
import { fill, h } from "./dom.js";

const WORDS = {
  approve: ["Approve", "It will be served as production at once; you can roll back at any time.", "primary"],
  reject: ["Reject", "It will not be served. This cannot be undone; a new fit makes a new version.", "danger"],
};

/** Let a person decide about a version; `onDecided` runs once the server has taken the decision. */
export function askDecision(api, version, decision, onDecided) {
  const [verb, consequence, tone] = WORDS[decision];
  const comment = h("textarea", { id: "comment", rows: 3, maxlength: 2000 });
  const trouble = h("div");
  const submit = h("button", { type: "submit", class: tone }, verb);
  const onsubmit = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    try {
      const path = `/v1/adapters/${version.adapter_id}/versions/${version.version}/approvals`;
      await api.post(path, { decision, comment: comment.value });
      dialog.close();
      onDecided();
    } catch (error) {
      fill(trouble, alertOf(error));
      submit.disabled = false;
    }
  };
  const dialog = h("dialog", { "aria-labelledby": "decision-title" },
    h("form", { onsubmit },
      h("h2", { id: "decision-title" }, `${verb} ${version.adapter}, version ${version.version}?`),
      h("p", { class: "muted" }, consequence),
      h("div", { class: "field" }, h("label", { for: "comment" }, "Comment (optional)"), comment),
      trouble,
      h("div", { class: "row" }, submit, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
