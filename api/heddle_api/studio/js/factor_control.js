// One control per factor: levels to choose from, or a number to drag and to type. "As it is" leaves the factor alone.
import { h } from "./dom.js";
import { plain, value as spoken } from "./words.js";

const MOST_CHIPS = 12;

/**
 * @param {object} factor as registered: name, kind, levels | range | period, unit
 * @param {string|null} refusal why it cannot be edited, or null
 * @param {(value: any) => void} onChange a level's name, true/false, a number, or null for "as it is"
 * @returns {{element: HTMLElement, show: (value: any, reading: any) => void}}
 */
export function factorControl(factor, refusal, onChange) {
  if (factor.kind === "continuous" || factor.kind === "periodic") return numberControl(factor, refusal, onChange);
  const levels = factor.kind === "binary" ? [false, true] : factor.levels;
  return levels.length > MOST_CHIPS ? selectControl(factor, levels, refusal, onChange) : chipControl(factor, levels, refusal, onChange);
}

function frame(factor, refusal, tag, ...inside) {
  const now = h("span", { class: "muted small" });
  const legend = h(tag, { class: "legend" }, h("span", { class: "name" }, plain(factor.name)), now);
  const element = h("fieldset", { class: "factor", disabled: Boolean(refusal), "data-factor": factor.name }, legend,
    refusal && h("p", { class: "reason" }, `Cannot be edited: ${refusal}`), inside);
  const showNow = (reading) => {
    now.textContent = reading ? `now ${spoken(reading.value)}${factor.unit ? ` ${factor.unit}` : ""}` : "";
  };
  return { element, showNow };
}

function chipControl(factor, levels, refusal, onChange) {
  const chip = (level, words, kind) => {
    const input = h("input", { type: "radio", name: `factor-${factor.name}`, onchange: () => onChange(level) });
    return { level, input, element: h("label", { class: `chip ${kind}` }, input, words) };
  };
  const chips = [chip(null, "as it is", "as-is"), ...levels.map((level) => chip(level, spoken(level), ""))];
  const { element, showNow } = frame(factor, refusal, "legend", h("div", { class: "options" }, chips.map((each) => each.element)));
  const show = (value, reading) => {
    for (const each of chips) each.input.checked = each.level === value;
    showNow(reading);
  };
  return { element, show };
}

function selectControl(factor, levels, refusal, onChange) {
  const select = h("select", { "aria-label": plain(factor.name) },
    h("option", { value: "" }, "as it is"), levels.map((level, index) => h("option", { value: index }, spoken(level))));
  select.addEventListener("change", () => onChange(select.value === "" ? null : levels[Number(select.value)]));
  const { element, showNow } = frame(factor, refusal, "legend", select);
  const show = (value, reading) => {
    select.value = value === null ? "" : String(levels.indexOf(value));
    showNow(reading);
  };
  return { element, show };
}

function numberControl(factor, refusal, onChange) {
  const [low, high] = factor.kind === "periodic" ? [0, factor.period] : factor.range;
  const bounds = { min: low, max: high, step: (high - low) / 200 };
  const range = h("input", { type: "range", ...bounds, "aria-label": plain(factor.name) });
  const exact = h("input", { type: "number", ...bounds, step: "any", "aria-label": `${plain(factor.name)}, exactly` });
  const asIs = h("button", { type: "button", class: "quiet", onclick: () => onChange(null) }, "as it is");
  range.addEventListener("input", () => onChange(Number(range.value)));
  exact.addEventListener("change", () => {
    if (exact.value === "") return onChange(null);
    onChange(Math.min(high, Math.max(low, Number(exact.value))));
  });
  const { element, showNow } = frame(factor, refusal, "legend", h("div", { class: "number" }, range, exact, asIs));
  const show = (value, reading) => {
    const shown = value ?? reading?.value ?? (low + high) / 2;
    if (document.activeElement !== range || value === null) range.value = shown;
    range.setAttribute("aria-valuetext", `${spoken(shown)}${factor.unit ? ` ${factor.unit}` : ""}${value === null ? ", as it is" : ""}`);
    if (document.activeElement !== exact) exact.value = value === null ? "" : spoken(shown);
    asIs.disabled = value === null || Boolean(refusal);
    showNow(reading);
  };
  return { element, show };
}
