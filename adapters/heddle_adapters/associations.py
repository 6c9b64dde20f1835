"""How strongly the labels of two factors go together, and what that forbids.

A level pair that never occurs together makes two edits unidentifiable; association lowers the gap any code can
reach. Both are facts about the labels, so they are data for the card before they are anybody's opinion.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from heddle_adapters.arrays import Floats, Integers
from heddle_platform.factors import FactorSet, FactorSpec, LevelledFactor


@dataclass(frozen=True)
class Association:
    """One pair of factors.

    Attributes:
        first, second: indices of the factors.
        value: 0 (none) to 1.
        measure: "cramers_v" (bias-corrected), "correlation_ratio" or "spearman".
        rows: images with both labels.
        smallest_cell: fewest images of any level pair; None unless both factors have levels.
        empty_cells, cells: level pairs that never occur, and all that could.
    """

    first: int
    second: int
    value: float
    measure: str
    rows: int
    smallest_cell: int | None
    empty_cells: int
    cells: int


def associations(values_NF: Floats, factor_set: FactorSet) -> tuple[Association, ...]:
    """Return the association of every pair of factors, strongest first."""
    found = []
    for first in range(len(factor_set.factors)):
        for second in range(first + 1, len(factor_set.factors)):
            both_N = ~np.isnan(values_NF[:, [first, second]]).any(axis=1)
            found.append(_pair(values_NF[both_N, first], values_NF[both_N, second], factor_set.factors, first, second))
    return tuple(sorted(found, key=lambda one: (-one.value, one.first, one.second)))


def cramers_v(first_N: Integers, second_N: Integers, first_levels: int, second_levels: int) -> float:
    """Return the bias-corrected Cramer's V of two columns of levels, 0..1 (Bergsma 2013)."""
    table = contingency(first_N, second_N, first_levels, second_levels)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    rows, columns = table.shape
    count = table.sum()
    if count < 2 or rows < 2 or columns < 2:
        return 0.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / count
    phi2 = float(((table - expected) ** 2 / expected).sum() / count)
    phi2 = max(0.0, phi2 - (rows - 1) * (columns - 1) / (count - 1))
    least = min(rows - (rows - 1) ** 2 / (count - 1), columns - (columns - 1) ** 2 / (count - 1)) - 1
    return float(np.sqrt(min(1.0, phi2 / least))) if least > 0 else 0.0


def correlation_ratio(levels_N: Integers, values_N: Floats) -> float:
    """Return eta, the square root of the share of a number's variance that lies between levels, 0..1.

    Corrected for the share that levels without meaning would explain (epsilon squared, Kelley 1935).
    """
    spread = float(np.square(values_N - values_N.mean()).sum())
    distinct = np.unique(levels_N)
    if spread == 0 or len(values_N) <= len(distinct):
        return 0.0
    within = sum(
        float(np.square(values_N[levels_N == level] - values_N[levels_N == level].mean()).sum()) for level in distinct
    )
    share = 1.0 - within / spread * (len(values_N) - 1) / (len(values_N) - len(distinct))
    return float(np.sqrt(max(0.0, share)))


def contingency(first_N: Integers, second_N: Integers, first_levels: int, second_levels: int) -> Floats:
    """Return counts [K1, K2] of level pairs."""
    flat = np.bincount(first_N * second_levels + second_N, minlength=first_levels * second_levels)
    return flat.reshape(first_levels, second_levels).astype(np.float64)


def _pair(first_N: Floats, second_N: Floats, factors: Sequence[FactorSpec], first: int, second: int) -> Association:
    one, other = factors[first], factors[second]
    rows = len(first_N)
    if isinstance(one, LevelledFactor) and isinstance(other, LevelledFactor):
        levels_N, other_N = first_N.astype(np.int64), second_N.astype(np.int64)
        sizes = (len(one.level_names), len(other.level_names))
        table = contingency(levels_N, other_N, *sizes)
        table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
        value = cramers_v(levels_N, other_N, *sizes)
        smallest = int(table.min()) if table.size else 0
        return Association(first, second, value, "cramers_v", rows, smallest, int((table == 0).sum()), int(table.size))
    if isinstance(one, LevelledFactor) or isinstance(other, LevelledFactor):
        level_N, number_N = (first_N, second_N) if isinstance(one, LevelledFactor) else (second_N, first_N)
        value = correlation_ratio(level_N.astype(np.int64), number_N) if rows > 2 else 0.0
        return Association(first, second, value, "correlation_ratio", rows, None, 0, 0)
    known = rows > 2 and len(np.unique(first_N)) > 1 and len(np.unique(second_N)) > 1
    value = abs(float(spearmanr(first_N, second_N).statistic)) if known else 0.0
    return Association(first, second, value, "spearman", rows, None, 0, 0)
