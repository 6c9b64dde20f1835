"""Cutting labelled rows into folds, the same way every time."""

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats
from heddle_platform.errors import InvalidInput


def fold_of_rows(values_NF: Floats, folds: int, seed: int) -> NDArray[np.intp]:
    """Return the fold [N] of each row, 0..folds-1: sizes differ by at most one, rare levels are spread out.

    Rows are dealt in turn after sorting by their rarest label (so that a level with few images does not end
    up in one fold), in an order that is random otherwise.

    Raises:
        InvalidInput: code `too_few_labels` if there are fewer rows than folds.
    """
    rows = len(values_NF)
    if rows < folds:
        raise InvalidInput(
            f"there are {rows} labelled images, at least {folds} are needed to judge a fit out of fold",
            code="too_few_labels",
        )
    order_N = np.random.default_rng(seed).permutation(rows)
    rarity_NF = np.full(values_NF.shape, rows, dtype=np.int64)
    for index in range(values_NF.shape[1]):
        known_N = ~np.isnan(values_NF[:, index])
        _, inverse, counts = np.unique(values_NF[known_N, index], return_inverse=True, return_counts=True)
        if 2 * len(counts) <= known_N.sum():  # numbers rarely repeat, all of them would be "rare"
            rarity_NF[known_N, index] = counts[inverse]
    column_N = rarity_NF.argmin(axis=1)
    rarest_N = rarity_NF[np.arange(rows), column_N]
    level_N = np.nan_to_num(values_NF[np.arange(rows), column_N], nan=-1.0)
    shuffled = np.lexsort((level_N[order_N], column_N[order_N], rarest_N[order_N]))
    fold_N = np.empty(rows, dtype=np.intp)
    fold_N[order_N[shuffled]] = np.arange(rows) % folds
    return fold_N
