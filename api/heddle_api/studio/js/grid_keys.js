// Grids by keyboard: one stop for Tab, then the arrow keys, Home and End; what has the focus is said by its label.

/**
 * @param {HTMLElement} grid with role="grid"; its rows hold the cells
 * @param {() => HTMLElement[][]} rowsOf the cells as they stand now, row by row
 */
export function walkable(grid, rowsOf) {
  let current = [0, 0];
  const rows = () => rowsOf().filter((row) => row.length);
  const go = (row, column) => {
    const cells = rows();
    const line = Math.max(0, Math.min(row, cells.length - 1));
    const place = Math.max(0, Math.min(column, cells[line].length - 1));
    for (const cell of cells.flat()) cell.tabIndex = -1;
    current = [line, place];
    cells[line][place].tabIndex = 0;
    return cells[line][place];
  };
  const keys = {
    ArrowRight: ([row, column]) => [row, column + 1],
    ArrowLeft: ([row, column]) => [row, column - 1],
    ArrowDown: ([row, column]) => [row + 1, column],
    ArrowUp: ([row, column]) => [row - 1, column],
    Home: ([row]) => [row, 0],
    End: ([row]) => [row, Infinity],
  };
  grid.addEventListener("keydown", (event) => {
    const step = keys[event.key];
    if (!step || !rows().length) return;
    event.preventDefault();
    go(...step(current)).focus();
  });
  grid.addEventListener("focusin", (event) => {
    const cells = rows();
    const row = cells.findIndex((line) => line.includes(event.target));
    if (row >= 0) go(row, cells[row].indexOf(event.target));
  });
  return { settle: () => rows().length && go(...current) };
}
