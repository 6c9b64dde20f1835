"""How strongly the labels of two factors go together, and what that forbids.

A level pair that never occurs together makes two edits unidentifiable; association lowers the gap any code can
reach. Both are facts about the labels, so they are data for the card before they are anybody's opinion.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from heddle_adapters.arrays import Floats, Integers
from heddle_adapters.dependence import Dependence, dependence, smallest_detectable
from heddle_adapters.design import THIN_CELL
from heddle_platform.factors import FactorSet, FactorSpec, LevelledFactor

SURE_LEVEL = 0.05  # of Holm's p

Claim = Literal["refused", "associated", "none_found"]


@dataclass(frozen=True)
class Association:
    """One pair of factors.

    Attributes:
        first, second: indices of the factors.
        value: 0 (none) to 1.
        measure: "cramers_v" (bias-corrected), "correlation_ratio", "spearman", or "canonical" where one is an angle.
        rows: images with both labels.
        smallest_cell: fewest images of any level pair; None unless both factors have levels.
        empty_cells, thin_cells, cells: level pairs that never occur, that occur but fewer than five times, and all
            that could.
        p, p_holm: of no dependence, by permutation; corrected over all pairs.
        permutations: behind p.
        detectable: smallest correlation that this many rows find with 80 % power.
    """

    first: int
    second: int
    value: float
    measure: str
    rows: int
    smallest_cell: int | None
    empty_cells: int
    cells: int
    thin_cells: int = 0
    p: float = 1.0
    p_holm: float = 1.0
    permutations: int = 0
    detectable: float = 1.0

    @property
    def claim(self) -> Claim:
        """What may be said of independence: an empty cell refuses the claim, whatever the p value says."""
        if self.empty_cells:
            return "refused"
        return "associated" if self.p_holm < SURE_LEVEL else "none_found"


def associations(
    values_NF: Floats, factor_set: FactorSet, *, seed: int = 0, permutations: int | None = None
) -> tuple[Association, ...]:
    """Return the association of every pair of factors, strongest first.

    Args:
        values_NF: labels, NaN where missing.
        factor_set: the F factors.
        seed: of the permutations behind the p values.
        permutations: how many; see `dependence.dependence`.
    """
    tested = dependence(values_NF, factor_set, permutations=permutations, seed=seed)
    found = []
    for first in range(len(factor_set.factors)):
        for second in range(first + 1, len(factor_set.factors)):
            both_N = ~np.isnan(values_NF[:, [first, second]]).any(axis=1)
            pair = _pair(values_NF[both_N, first], values_NF[both_N, second], factor_set.factors, first, second)
            found.append(_tested(pair, tested, factor_set))
    return tuple(sorted(found, key=lambda one: (-one.value, one.first, one.second)))


def _tested(pair: Association, tested: Dependence, factor_set: FactorSet) -> Association:
    place = (pair.first, pair.second)
    value, measure = pair.value, pair.measure
    if "periodic" in (factor_set.factors[pair.first].kind, factor_set.factors[pair.second].kind):
        # an angle has no order for a rank to follow: root of the mean squared canonical correlation
        ranks = min(tested.ranks_F[pair.first], tested.ranks_F[pair.second])
        value, measure = float(np.sqrt(min(1.0, tested.strength_FF[place] / max(ranks, 1)))), "canonical"
    return replace(
        pair,
        value=value,
        measure=measure,
        p=float(tested.p_FF[place]),
        p_holm=float(tested.p_holm_FF[place]),
        permutations=tested.permutations,
        detectable=smallest_detectable(pair.rows),
    )


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
        empty, thin = int((table == 0).sum()), int(((table > 0) & (table < THIN_CELL)).sum())
        return Association(first, second, value, "cramers_v", rows, smallest, empty, int(table.size), thin)
    if isinstance(one, LevelledFactor) or isinstance(other, LevelledFactor):
        level_N, number_N = (first_N, second_N) if isinstance(one, LevelledFactor) else (second_N, first_N)
        value = correlation_ratio(level_N.astype(np.int64), number_N) if rows > 2 else 0.0
        return Association(first, second, value, "correlation_ratio", rows, None, 0, 0)
    from scipy.stats import spearmanr  # a third of a second, for pairs of numbers only

    known = rows > 2 and len(np.unique(first_N)) > 1 and len(np.unique(second_N)) > 1
    value = abs(float(spearmanr(first_N, second_N).statistic)) if known else 0.0
    return Association(first, second, value, "spearman", rows, None, 0, 0)
