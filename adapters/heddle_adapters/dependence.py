"""Do the labels of two factors go together, beyond chance? One statistic for all kinds, one permutation for all pairs.

Every factor becomes an orthonormal block of columns: its levels, its ranks, or its angle's cosine and sine. The sum of
squares of the product of two blocks is then chi-square over n for two levelled factors, the squared correlation ratio
for levels and a number, Spearman's rho squared for two numbers, and for angles the sum of squared canonical
correlations (Jupp & Mardia 1980). Shuffling rows once shuffles every pair at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc, ndtri

from heddle_adapters.arrays import Floats, Integers, Singles
from heddle_adapters.chance import holm
from heddle_platform.factors import FactorSet, FactorSpec, LevelledFactor

PERMUTATIONS, FEWEST_PERMUTATIONS = 299, 19
_OPERATIONS = 1.5e11  # that permutations may cost together: two or three seconds of one core
SURE = 10  # permutations that reach the statistic, from which their count is trusted
POWER, LEVEL = 0.80, 0.05
_RANK_TOLERANCE = 1e-6
_TIE = 1e-5  # a permutation that gives the same table sums in another order, in single precision
_NUMBERS = 1_000_000  # of permuted labels at once: 4 MB


@dataclass(frozen=True, eq=False)
class Dependence:
    """Tests of all pairs of F factors.

    Attributes:
        strength_FF: the statistic, 0 to the smaller of the blocks' ranks.
        p_FF: permutation p value of each pair, symmetric; 1 on the diagonal.
        p_holm_FF: the same, Holm's correction over all pairs (Holm 1979).
        ranks_F: rank of each factor's block.
        permutations: how many there were.
    """

    strength_FF: Floats
    p_FF: Floats
    p_holm_FF: Floats
    ranks_F: tuple[int, ...]
    permutations: int


def dependence(
    values_NF: Floats, factor_set: FactorSet, *, permutations: int | None = None, seed: int = 0
) -> Dependence:
    """Test every pair of factors for dependence.

    p = (1 + b) / (1 + B), b the permutations that reach the statistic. Where fewer than ten of B do, p is read from
    the gamma distribution with the permutations' mean and variance (Winkler et al. 2016): 299 permutations can then
    tell 1e-6 from 1e-3, which Holm's correction over many pairs needs. A missing label counts as the mean, in the
    labels and in every permutation of them.

    Args:
        values_NF: labels, NaN where missing.
        factor_set: the F factors.
        permutations: B; None for 299, or for fewer where hundreds of levels make them dear.
        seed: of the permutations.
    """
    blocks = [block_of(values_NF[:, index], factor) for index, factor in enumerate(factor_set.factors)]
    ranks = tuple(block.shape[1] for block in blocks)
    columns_NP = np.hstack(blocks).astype(np.float32)
    starts = np.cumsum([0, *ranks])[:-1]
    if permutations is None:
        permutations = affordable(*columns_NP.shape)
    seen_FF = _sums_of_squares(columns_NP.T @ columns_NP, starts, ranks)
    total_FF, squares_FF, reached_FF = np.zeros_like(seen_FF), np.zeros_like(seen_FF), np.zeros_like(seen_FF)
    rows, columns = columns_NP.shape
    together = max(1, _NUMBERS // max(columns_NP.size, 1))
    for start in range(0, permutations, together):
        count = min(together, permutations - start)
        # one product for many permutations, side by side in its columns
        side_NX = columns_NP[_shuffles(rows, start, count, seed)].reshape(rows, -1)
        products_BPP = (columns_NP.T @ side_NX).reshape(columns, count, columns).transpose(1, 0, 2)
        found_BFF = _sums_of_squares(products_BPP, starts, ranks)
        total_FF += found_BFF.sum(axis=0)
        squares_FF += np.square(found_BFF).sum(axis=0)
        reached_FF += (found_BFF >= seen_FF * (1 - _TIE)).sum(axis=0)
    p_FF = _p_values(seen_FF, total_FF / permutations, squares_FF / permutations, reached_FF, permutations)
    upper = np.triu_indices(len(ranks), 1)
    holm_FF = np.ones_like(p_FF)
    holm_FF[upper] = holm(p_FF[upper])
    return Dependence(seen_FF, p_FF, np.minimum(holm_FF, holm_FF.T), ranks, permutations)


@lru_cache(maxsize=2)  # the small fits of a chunk are of a size
def _shuffles(rows: int, start: int, count: int, seed: int) -> NDArray[np.int32]:
    """Return permutations of rows, one a column, [N, B]: the same ones every time."""
    random = np.random.default_rng((seed, start))
    return np.stack([random.permutation(rows) for _ in range(count)], axis=1).astype(np.int32)


def affordable(rows: int, columns: int) -> int:
    """Return how many permutations of a design of this size may be made."""
    cost = 2.0 * rows * max(columns, 1) ** 2
    return int(np.clip(_OPERATIONS / cost, FEWEST_PERMUTATIONS, PERMUTATIONS))


def smallest_detectable(rows: int) -> float:
    """Return the correlation that `rows` labels detect with 80 % power at the 5 % level, by Fisher's z."""
    if rows <= 4:
        return 1.0
    reach = float(ndtri(1 - LEVEL / 2) + ndtri(POWER))
    return float(np.tanh(reach / np.sqrt(rows - 3)))


def block_of(values_N: Floats, factor: FactorSpec) -> Floats:
    """Return a factor's labels as orthonormal columns [N, R] of mean 0; rows without a label are 0."""
    known_N = ~np.isnan(values_N)
    known = values_N[known_N]
    if isinstance(factor, LevelledFactor):
        columns = (known[:, None] == np.unique(known)[None, :]).astype(np.float64)
    elif factor.kind == "periodic":
        angle = known * (2 * np.pi / factor.period)
        columns = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    else:
        from scipy.stats import rankdata  # a third of a second, for numbers only

        columns = rankdata(known)[:, None]
    block_NR = np.zeros((len(values_N), min(columns.shape)))
    if columns.size:
        columns -= columns.mean(axis=0)
        # by the few columns' products: N rows need no decomposition of their own
        square_R, turn_RR = np.linalg.eigh(columns.T @ columns)
        kept_R = square_R > _RANK_TOLERANCE**2 * max(float(square_R.max(initial=0.0)), 1e-24)
        block_NR = np.zeros((len(values_N), int(kept_R.sum())))
        block_NR[known_N] = columns @ (turn_RR[:, kept_R] / np.sqrt(square_R[kept_R]))
    return block_NR


def condition_between(values_NF: Floats, factor_set: FactorSet) -> float:
    """Return the condition number of Phi'Phi with each factor's own columns made orthonormal.

    1 when the factors are independent, whatever their levels; (1 + r) / (1 - r) for two binary factors of
    correlation r; infinite (1e300) when one factor is told by the others.
    """
    blocks = [block_of(values_NF[:, index], factor) for index, factor in enumerate(factor_set.factors)]
    return condition(np.hstack(blocks))


def condition(columns_NP: Floats) -> float:
    """Return the condition number of columns' Gram matrix, at most 1e300."""
    size_P = np.linalg.svd(columns_NP, compute_uv=False)
    if not size_P.size:
        return 1.0
    return float((size_P[0] / size_P[-1]) ** 2) if size_P[-1] > size_P[0] * 1e-8 else 1e300


def _sums_of_squares(products_PP: Singles, starts: Integers, ranks: Sequence[int]) -> Floats:
    """Sum of squares of every block [..., F, F] of products [..., P, P]; a block of rank 0 has none."""
    squares_PP = np.square(products_PP.astype(np.float64))
    filled = [index for index, rank in enumerate(ranks) if rank]
    result_FF = np.zeros((*products_PP.shape[:-2], len(ranks), len(ranks)))
    if filled:
        edges = starts[filled]
        summed = np.add.reduceat(np.add.reduceat(squares_PP, edges, axis=-2), edges, axis=-1)
        result_FF[..., np.array(filled)[:, None], filled] = summed
    return result_FF


def _p_values(seen_FF: Floats, mean_FF: Floats, squares_FF: Floats, reached_FF: Floats, permutations: int) -> Floats:
    counted_FF = (1 + reached_FF) / (1 + permutations)
    variance_FF = np.maximum(squares_FF - mean_FF**2, 1e-30)
    scale_FF = variance_FF / np.maximum(mean_FF, 1e-15)
    tail_FF = gammaincc(np.maximum(mean_FF, 1e-15) / scale_FF, seen_FF / scale_FF)
    known_FF = (reached_FF < SURE) & (mean_FF > 0)
    p_FF = np.where(known_FF, np.minimum(tail_FF, 1.0), counted_FF)
    np.fill_diagonal(p_FF, 1.0)
    # left against shuffled right and its mirror are two draws of one test: one triangle speaks for both
    upper_FF = np.triu(p_FF, 1)
    result_FF: Floats = upper_FF + upper_FF.T + np.eye(len(p_FF))
    return result_FF
