// A document of the server's shown as it is: numbers and words as a list, rows as a table. For what may grow fields.
import { h } from "./dom.js";
import { bytes, lasting, moment, plain, value } from "./words.js";

/**
 * @param {Record<string, any>} document
 * @param {string} title of the plain facts
 * @returns {HTMLElement[]} a panel for the plain facts, one for each list or group
 */
export function factPanels(document, title) {
  const flat = Object.entries(document).filter(([, found]) => found === null || typeof found !== "object");
  const deep = Object.entries(document).filter(([, found]) => found !== null && typeof found === "object" && Object.keys(found).length);
  return [
    flat.length > 0 && h("section", { class: "panel" }, h("h2", {}, title), figures(flat)),
    ...deep.map(([name, found]) => h("section", { class: "panel" }, h("h2", {}, titled(name)), Array.isArray(found) ? listOf(found) : group(found))),
  ].filter(Boolean);
}

function group(found) {
  const entries = Object.entries(found);
  if (entries.every(([, each]) => each !== null && typeof each === "object" && !Array.isArray(each))) {
    return listOf(entries.map(([name, each]) => ({ name, ...each })));
  }
  return figures(entries.map(([name, each]) => [name, each !== null && typeof each === "object" ? JSON.stringify(each) : each]));
}

function listOf(rows) {
  if (!rows.every((row) => row !== null && typeof row === "object")) return h("p", {}, rows.map((row) => spoken(row)).join(", "));
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return h("div", { class: "table-frame" }, h("table", { class: "table snug" },
    h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, titleOf(name))))),
    h("tbody", {}, rows.map((row) => h("tr", {}, columns.map((name) => h("td", {}, spoken(row[name], name))))))));
}

function figures(entries) {
  return h("dl", { class: "figures" }, entries.map(([name, found]) => h("div", {}, h("dt", {}, titleOf(name)), h("dd", {}, spoken(found, name)))));
}

const UNITS = /_(seconds|bytes)$/;

/** "oldest_wait_seconds" -> "oldest wait": its unit stands beside the number. */
function titleOf(name) {
  return titled(name.replace(UNITS, ""));
}

function spoken(found, name = "") {
  if (found === null || found === undefined || found === "") return "–";
  if (typeof found === "number" && name.endsWith("_seconds")) return lasting(found);
  if (typeof found === "number" && name.endsWith("_bytes")) return bytes(found);
  if (typeof found === "string" && /^\d{4}-\d\d-\d\dT/.test(found)) return moment(found);
  if (typeof found === "boolean") return found ? "yes" : "no";
  if (typeof found === "number") return Number.isInteger(found) ? found.toLocaleString("en") : value(found);
  return typeof found === "object" ? JSON.stringify(found) : found;
}

function titled(name) {
  const words = plain(name);
  return (words.charAt(0).toUpperCase() + words.slice(1)).replace(/\b([cg])pus\b/gi, (found) => `${found.slice(0, 2).toUpperCase()}Us`);
}
