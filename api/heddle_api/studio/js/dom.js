// Elements in one line each: h("p", {class: "lead"}, "text", child). Text is never parsed as HTML.

/**
 * Make an element.
 * @param {string} tag
 * @param {object} attributes `on…` functions become listeners, true/false set or leave out, the rest is written out
 * @param {...(Node|string|null|false|undefined|Array)} children
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replace what `element` holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
}

const SVG = "http://www.w3.org/2000/svg";

/** Make an SVG element; as `h`, attributes only. */
export function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.flat());
  return element;
}

/** Hand a file to the person. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** Say something in passing; read out by screen readers. */
export function notify(sentence) {
  const notice = h("div", { class: "notice" }, sentence);
  document.getElementById("notices").append(notice);
  setTimeout(() => notice.remove(), 6000);
}
