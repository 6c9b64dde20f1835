// A heat map is a table: every cell holds its number as text, the colour only helps.
import { h } from "./dom.js";
import { walkable } from "./grid_keys.js";

/**
 * @param {{label: string, corner: string, rows: string[], columns: string[], cell: (row: number, column: number) =>
 *   {text: string, share: number|null, words: string, bad?: boolean}|null, onPick?: (row: number, column: number) => void}} map
 *   `share` 0..1 is the colour, `words` what a screen reader and a hovering pointer are told
 */
export function heatMap({ label, corner, rows, columns, cell, onPick }) {
  const lines = rows.map((_, row) => columns.map((_, column) => {
    const found = cell(row, column);
    if (!found) return h("td", { class: "heat-none", role: "gridcell", tabindex: -1, "aria-label": "the same factor" }, "·");
    const kind = ["heat", found.bad && "bad", onPick && "pick"].filter(Boolean).join(" ");
    const made = h("td", { class: kind, role: "gridcell", tabindex: -1, title: found.words, "aria-label": found.words }, found.text);
    made.style.setProperty("--share", Math.max(0, Math.min(1, found.share ?? 0)).toFixed(3));
    if (onPick) {
      made.addEventListener("click", () => onPick(row, column));
      made.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        onPick(row, column);
      });
    }
    return made;
  }));
  const grid = h("table", { class: "heat-map", role: "grid", "aria-label": label },
    h("thead", {}, h("tr", { role: "row" }, h("th", { scope: "col", class: "corner" }, corner),
      columns.map((name) => h("th", { scope: "col", role: "columnheader" }, h("span", {}, name))))),
    h("tbody", {}, rows.map((name, row) =>
      h("tr", { role: "row" }, h("th", { scope: "row", role: "rowheader" }, name), lines[row]))));
  walkable(grid, () => lines).settle();
  return h("div", { class: "table-frame" }, grid);
}
