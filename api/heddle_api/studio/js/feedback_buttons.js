// What became of an edit: kept or discarded. Drift watching and refits live on it.
import { h, notify } from "./dom.js";

/** @param {import("./api.js").Api} api @param {import("./editor.js").Editor} editor */
export function feedbackButtons(api, editor) {
  let judged = null; // the result that has a verdict
  let verdict = null;
  const tell = (kept) => async () => {
    const { result } = editor;
    try {
      await api.post("/v1/feedback", { edit_id: result.editId, kept, final: kept ? result.set : {} });
      [judged, verdict] = [result, kept];
      notify(kept ? "Noted as kept. What people keep, the next fit can learn from." : "Noted as discarded.");
    } catch (error) {
      notify(error.message);
    }
    show();
  };
  const keep = h("button", { type: "button", onclick: tell(true) }, "Kept");
  const discard = h("button", { type: "button", onclick: tell(false) }, "Discarded");
  const show = () => {
    const told = judged !== null && judged === editor.result;
    keep.disabled = discard.disabled = !editor.result?.editId;
    keep.setAttribute("aria-pressed", String(told && verdict === true));
    discard.setAttribute("aria-pressed", String(told && verdict === false));
  };
  const element = h("div", { class: "row" }, h("span", { class: "small label", id: "feedback-label" }, "This edit was"),
    h("div", { class: "segments", role: "group", "aria-labelledby": "feedback-label" }, keep, discard));
  return { element, show };
}
