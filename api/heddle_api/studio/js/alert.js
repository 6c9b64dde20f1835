// Failures in words: the server's sentence, every single fault, and the id that support asks for.
import { h } from "./dom.js";

/** Show a Problem (or any Error) as a box that is read out at once. */
export function alertOf(error) {
  const faults = (error.errors ?? []).map((fault) =>
    h("li", {}, fault.pointer ? `${fault.pointer}: ` : "", fault.detail));
  return h("div", { class: "alert", role: "alert" },
    h("p", {}, sentence(error.message)),
    faults.length > 1 && h("ul", {}, faults),
    error.requestId && h("p", { class: "small" }, `Request ${error.requestId}`));
}

/** As a whole sentence: a capital first, a full stop last. */
export function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
