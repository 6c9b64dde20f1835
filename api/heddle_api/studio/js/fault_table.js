// The faults of a labelled set, row by row; a kind of fault can be picked to see its rows only.
import { fill, h } from "./dom.js";
import { counted, plain } from "./words.js";

/** @param {{errors: {code: string, detail: string, row: number|null, column: string|null, pointer: string}[], fault_count: number}} report */
export function faultTable(report) {
  const kinds = new Map();
  for (const { code } of report.errors) kinds.set(code, (kinds.get(code) ?? 0) + 1);
  const body = h("tbody");
  const said = h("p", { class: "small muted", "aria-live": "polite" });
  const buttons = [["", "All", report.errors.length], ...Array.from(kinds, ([code, count]) => [code, plain(code), count])].map(
    ([code, words, count]) => h("button", { type: "button", "data-code": code, onclick: () => pick(code) }, `${words} (${count})`));
  const pick = (code) => {
    const shown = report.errors.filter((fault) => !code || fault.code === code);
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.code === code));
    fill(body, shown.map((fault) => h("tr", {},
      h("td", { class: "number" }, fault.row === null ? "–" : String(fault.row)),
      h("td", {}, fault.column ? plain(fault.column) : fileOf(fault.pointer)),
      h("td", {}, fault.detail))));
    const hidden = report.fault_count - report.errors.length;
    said.textContent = `${counted(shown.length, "fault")} shown.${hidden > 0 ? ` ${counted(hidden, "further fault")} are not listed; mend these first.` : ""}`;
  };
  pick("");
  return h("section", { class: "panel", "aria-labelledby": "faults-title" },
    h("h2", { id: "faults-title" }, "What is wrong"),
    h("p", { class: "small muted" }, "Rows are lines of labels.csv; the header is line 1."),
    kinds.size > 1 && h("div", { class: "segments", role: "group", "aria-label": "Kind of fault" }, buttons),
    said,
    h("div", { class: "table-frame" }, h("table", { class: "table" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "number" }, "Row"), h("th", { scope: "col" }, "Column or file"), h("th", { scope: "col" }, "Fault"))), body)));
}

function fileOf(pointer) {
  const file = /^\/files\/(.*)$/.exec(pointer ?? "");
  return file ? file[1].replaceAll("~1", "/").replaceAll("~0", "~") : "–";
}
