// Registering a factor set: YAML or JSON, checked before it is stored.
import { alertOf } from "./alert.js";
import { openDialog } from "./dialog.js";
import { fill, h, notify } from "./dom.js";

const EXAMPLE = `name: avatars
factors:
  - name: glasses
    kind: categorical
    levels: [none, round, square]
  - name: smile
    kind: binary
  - name: age
    kind: continuous
    range: [0, 90]
    unit: years
`;

/** @param {import("./api.js").Api} api @param {() => void} onRegistered */
export function askFactors(api, onRegistered) {
  const text = h("textarea", { id: "factors-text", rows: 14, spellcheck: "false", class: "code" });
  text.value = EXAMPLE;
  const outcome = h("div", { "aria-live": "polite" });
  const check = async () => {
    try {
      const found = await api.postText("/v1/factor_sets/validate", text.value, "application/yaml");
      fill(outcome, found.valid === false
        ? alertOf({ message: "It is not right yet", errors: found.errors })
        : h("p", { class: "alert good" }, "Every factor is well formed."));
    } catch (error) {
      fill(outcome, alertOf(error));
    }
  };
  const onsubmit = async () => {
    try {
      const made = await api.postText("/v1/factor_sets", text.value, "application/yaml");
      dialog.close();
      notify(`Registered ${made.name}, version ${made.version}.`);
      onRegistered();
    } catch (error) {
      fill(outcome, alertOf(error));
    }
  };
  const dialog = openDialog("Register factors", (close) => [
    h("div", { class: "field" },
      h("label", { for: "factors-text" }, "Factors, as YAML or JSON"), text,
      h("p", { class: "small muted" }, "Kinds: binary, categorical, ordinal (levels in order), continuous (range), periodic (period). A known name gets its next version.")),
    outcome,
    h("div", { class: "row" },
      h("button", { type: "submit", class: "primary" }, "Register"),
      h("button", { type: "button", onclick: check }, "Check"),
      h("button", { type: "button", onclick: close }, "Cancel")),
  ], { onsubmit, wide: true });
}
