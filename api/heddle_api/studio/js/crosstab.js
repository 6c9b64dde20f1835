// How labels go together, counted from the items of a set: association of every two factors, and cells by level.
// The same measure as the report card's for levels (bias-corrected Cramér's V; Bergsma 2013).

/** @typedef {{name: string, levels: string[]}} Levelled */

const TRUE = new Set(["1", "true", "yes", "on"]);

/** A factor's levels as labels spell them, or null where it has none. */
export function levelled(factor) {
  if (factor.kind === "binary") return { name: factor.name, levels: ["off", "on"], binary: true };
  return factor.levels ? { name: factor.name, levels: [...factor.levels] } : null;
}

/**
 * Count how often each two levels meet.
 * @param {Levelled} one @param {Levelled} other
 * @param {{labels: Record<string, string>}[]} items
 * @returns {number[][]} rows: levels of `one`
 */
export function crossed(one, other, items) {
  const counts = one.levels.map(() => other.levels.map(() => 0));
  for (const { labels } of items) {
    const row = levelOf(one, labels[one.name]);
    const column = levelOf(other, labels[other.name]);
    if (row >= 0 && column >= 0) counts[row][column] += 1;
  }
  return counts;
}

/** Bias-corrected Cramér's V of a table of counts, 0..1. */
export function cramersV(counts) {
  const rows = counts.map((row) => sum(row));
  const columns = counts[0].map((_, column) => sum(counts.map((row) => row[column])));
  const total = sum(rows);
  if (total < 2) return 0;
  let chi = 0;
  counts.forEach((row, i) => row.forEach((count, j) => {
    const expected = (rows[i] * columns[j]) / total;
    if (expected) chi += (count - expected) ** 2 / expected;
  }));
  const [high, wide] = [rows.filter(Boolean).length, columns.filter(Boolean).length];
  const phi = Math.max(0, chi / total - ((high - 1) * (wide - 1)) / (total - 1));
  const [lessHigh, lessWide] = [high, wide].map((size) => size - (size - 1) ** 2 / (total - 1));
  const least = Math.min(lessHigh, lessWide) - 1;
  return least > 0 ? Math.min(1, Math.sqrt(phi / least)) : 0;
}

/** Files that hold the same bytes: [[file, file, …], …]. */
export function duplicates(items) {
  const byDigest = new Map();
  for (const { file, sha256 } of items) byDigest.set(sha256, [...(byDigest.get(sha256) ?? []), file]);
  return [...byDigest.values()].filter((files) => files.length > 1);
}

function levelOf({ levels, binary }, cell) {
  if (cell === undefined) return -1;
  return binary ? Number(TRUE.has(cell.trim().toLowerCase())) : levels.indexOf(cell.trim());
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}
