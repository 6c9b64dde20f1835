// Queueing a fit of a labelled set.
import { alertOf } from "./alert.js";
import { openDialog } from "./dialog.js";
import { fill, h, notify } from "./dom.js";

/**
 * @param {import("./api.js").Api} api
 * @param {object} dataset
 * @param {string} suggested the adapter's name to begin with
 */
export function askFit(api, dataset, suggested) {
  const adapter = h("input", {
    id: "fit-adapter", type: "text", required: true, value: suggested, maxlength: 63, pattern: "[a-z][a-z0-9_\\-]*",
    title: "Lower-case letters, digits, _ and -, beginning with a letter", "aria-describedby": "fit-help",
  });
  const trouble = h("div");
  const submit = h("button", { type: "submit", class: "primary" }, "Queue the fit");
  const onsubmit = async () => {
    submit.disabled = true;
    try {
      const { id, version } = dataset.factor_set;
      await api.post("/v1/jobs", { type: "fit", adapter: adapter.value, factor_set: `${id}@${version}`, dataset: dataset.id, base: "default" });
      dialog.close();
      notify(`The fit of ${adapter.value} is queued.`);
      location.hash = "#/jobs";
    } catch (error) {
      fill(trouble, alertOf(error));
      submit.disabled = false;
    }
  };
  const dialog = openDialog(`Fit an adapter on ${dataset.name}`, (close) => [
    h("div", { class: "field" },
      h("label", { for: "fit-adapter" }, "Adapter"), adapter,
      h("p", { id: "fit-help", class: "small muted" }, "An existing name gets its next version, a new name a new adapter. Production stays as it is until you approve.")),
    trouble,
    h("div", { class: "row" }, submit, h("button", { type: "button", onclick: close }, "Cancel")),
  ], { onsubmit });
}
