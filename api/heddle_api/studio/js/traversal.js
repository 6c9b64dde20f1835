// The traversal grid: every factor drawn through its levels or its range; a picture can be picked to set it.
import { alertOf } from "./alert.js";
import { fill, h } from "./dom.js";
import { walkable } from "./grid_keys.js";
import { plain, value as spoken } from "./words.js";

const GAP = 4; // pixels between two pictures of the edge's strip
const STEPS = 7;

/**
 * @param {import("./editor.js").Editor} editor
 * @param {object[]} factors those that may be edited
 */
export function traversalPanel(editor, factors) {
  const grid = h("div", { role: "grid", class: "traversal", "aria-label": "Traversal: one row per factor" });
  const trouble = h("div");
  const button = h("button", { type: "button", onclick: () => draw() }, "Draw the grid");
  const said = h("p", { class: "small muted", "aria-live": "polite" });
  const rowsOf = () => [...grid.querySelectorAll("[role=row]")].map((row) => [...row.querySelectorAll("button")]);
  const { settle } = walkable(grid, rowsOf);
  let drawn = null;
  let turn = 0;
  const draw = async () => {
    const mine = ++turn;
    drawn = editor.original;
    button.disabled = true;
    fill(grid);
    fill(trouble);
    try {
      for (const [index, factor] of factors.entries()) {
        said.textContent = `Drawing ${plain(factor.name)}, ${index + 1} of ${factors.length} …`;
        const row = await strip(editor, factor);
        if (mine !== turn) return;
        grid.append(row);
        settle();
      }
      said.textContent = "Pick a picture to set its factor. By keyboard: arrows walk, Enter picks.";
    } catch (error) {
      fill(trouble, alertOf(error));
      said.textContent = "";
    }
    button.disabled = false;
  };
  const show = () => {
    if (drawn === editor.original) return;
    turn += 1; // of another picture
    drawn = null;
    button.disabled = false;
    fill(grid);
    said.textContent = "";
  };
  const element = h("section", { class: "panel traversal-panel", "aria-labelledby": "traversal-title" },
    h("div", { class: "row spread" }, h("h2", { id: "traversal-title" }, "Every factor, all the way"), button), said, trouble, grid);
  return { element, show };
}

async function strip(editor, factor) {
  const grid = JSON.stringify({ adapter: editor.adapter, factor: factor.name, steps: STEPS, detail: editor.detail });
  const image = editor.imageId ? { image_id: editor.imageId } : { image: editor.original };
  const answer = await editor.api.edge("/v1/edits/grid", { ...image, grid }, "image/png");
  const values = JSON.parse(answer.headers.get("X-Grid-Values"));
  const picture = await createImageBitmap(await answer.blob());
  const width = (picture.width + GAP) / values.length - GAP;
  const cells = values.map((value, place) => {
    const canvas = h("canvas", { width, height: picture.height, "aria-hidden": "true" });
    canvas.getContext("2d").drawImage(picture, place * (width + GAP), 0, width, picture.height, 0, 0, width, picture.height);
    const words = `${spoken(value)}${factor.unit ? ` ${factor.unit}` : ""}`;
    return h("div", { role: "gridcell" }, h("button", {
      type: "button", tabindex: -1, "aria-label": `${plain(factor.name)}: ${words}`, onclick: () => editor.change(factor.name, value),
    }, canvas, h("span", {}, words)));
  });
  return h("div", { role: "row" }, h("div", { role: "rowheader" }, plain(factor.name)), h("div", { class: "strip" }, cells));
}
