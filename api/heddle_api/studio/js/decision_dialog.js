// Asking before something moves: a decision with the reviewer's comment.
import { alertOf } from "./alert.js";
import { openDialog } from "./dialog.js";
import { fill, h } from "./dom.js";

const WORDS = {
  approve: ["Approve", "It will be served as production at once; you can roll back at any time.", "primary"],
  reject: ["Reject", "It will not be served. This cannot be undone; a new fit makes a new version.", "primary danger"],
};

/**
 * Let a person decide about a version.
 * @param {import("./api.js").Api} api
 * @param {object} version
 * @param {"approve"|"reject"} decision
 * @param {() => void} onDecided runs once the server has taken the decision
 */
export function askDecision(api, version, decision, onDecided) {
  const [verb, consequence, tone] = WORDS[decision];
  const comment = h("textarea", { id: "comment", rows: 3, maxlength: 2000 });
  const trouble = h("div");
  const submit = h("button", { type: "submit", class: tone }, verb);
  const onsubmit = async () => {
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
  const dialog = openDialog(`${verb} ${version.adapter}, version ${version.version}?`, (close) => [
    h("p", { class: "muted" }, consequence),
    h("div", { class: "field" }, h("label", { for: "comment" }, "Comment (optional)"), comment),
    trouble,
    h("div", { class: "row" }, submit, h("button", { type: "button", onclick: close }, "Cancel")),
  ], { onsubmit });
}
