// Signing in: a key, checked by asking the server who it belongs to.
import { alertOf } from "./alert.js";
import { fill, h } from "./dom.js";

/**
 * The sign-in page.
 * @param {(key: string) => Promise<void>} enter tries a key; rejects with a Problem
 * @param {string|null} reason why the reader is here again
 */
export function signInView(enter, reason) {
  const key = h("input", {
    id: "key", type: "password", autocomplete: "current-password", spellcheck: "false", required: true,
    "aria-describedby": "key-help", placeholder: "hdl_…",
  });
  const trouble = h("div", { "aria-live": "assertive" });
  const submit = h("button", { type: "submit", class: "primary" }, "Sign in");
  const onsubmit = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    fill(trouble);
    try {
      await enter(key.value.trim());
      document.getElementById("main").focus({ preventScroll: true }); // the field that had it is gone
    } catch (error) {
      fill(trouble, alertOf(error));
      submit.disabled = false;
      key.focus();
    }
  };
  const form = h("form", { onsubmit },
    h("div", {},
      h("h1", {}, "Sign in"),
      h("p", { class: "lead" }, "A tenant's key opens its data, fits, adapters and the edit bench; an operator's opens tenants, cluster and bases.")),
    reason && h("p", { class: "alert warn" }, reason),
    h("div", { class: "field" },
      h("label", { for: "key" }, "API key"),
      key,
      h("p", { id: "key-help", class: "small muted" }, "Kept in this tab only, and forgotten when you close it.")),
    trouble,
    submit);
  const more = h("details", {},
    h("summary", {}, "I have no key"),
    h("p", { class: "small muted" }, "An operator makes one: a tenant's first key is printed when the tenant is created."),
    h("pre", {}, "heddle tenant create \"My studio\""));
  const element = h("div", { class: "sign-in panel" }, form, more);
  return { element, title: "Sign in", start: () => key.focus(), stop() {} };
}
