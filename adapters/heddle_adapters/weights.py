"""How much each labelled row counts: weights checked, brought to one scale, and the moments they make.

A weight says "this labelled image counts w times" beside the others: only ratios matter. What a fit works with is

    w_i = v_i sum(v) / sum(v^2)    (v: the weights as given)

so that the mean of w, as weighted rows see it, is 1, and their sum is Kish's effective sample size, sum(v)^2 /
sum(v^2) (Kish 1965, section 11.7): that many rows the pseudo-counts, the shrinkages and the degrees of freedom are
told of. Equal weights are none; a row whose weight goes to 0 leaves nothing behind, not even in the count of rows.

Everywhere in this package `weight_N` stands for such relative weights, or for None: every row counts once.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats, numbers_of, rows_of
from heddle_platform.errors import InvalidInput
from heddle_platform.labels import LEAST_WEIGHT, MOST_WEIGHT  # the squares of both still add up


def given_weights(weights: NDArray[Any], rows: int) -> Floats:
    """Return weights as given, [N] in float64.

    Raises:
        InvalidInput: codes `wrong_shape`, `not_numbers`, `row_count_mismatch`, `invalid_weight` (the first row whose
            weight is missing, not finite, not above 0 or out of range is named).
    """
    given = rows_of(weights, "weights")
    numbers_N = numbers_of(np.ma.getdata(given), "weights")
    if numbers_N.ndim != 1:
        raise InvalidInput(
            f"weights must be one number per row, got shape {numbers_N.shape}", code="wrong_shape", param="weights"
        )
    if len(numbers_N) != rows:
        raise InvalidInput(
            f"there are {len(numbers_N)} weights and {rows} rows; they must be equal",
            code="row_count_mismatch",
            param="weights",
        )
    wrong_N = ~((numbers_N >= LEAST_WEIGHT) & (numbers_N <= MOST_WEIGHT)) | np.ma.getmaskarray(given)
    if wrong_N.any():
        row = int(np.argmax(wrong_N))
        told = "masked" if np.ma.getmaskarray(given)[row] else f"{numbers_N[row]:g}"
        raise InvalidInput(
            f"the weight of row {row} is {told}, one of {int(wrong_N.sum())} that are no number from {LEAST_WEIGHT:g} "
            f"to {MOST_WEIGHT:g}; leave a row out where it shall not count",
            code="invalid_weight",
            param="weights",
        )
    return numbers_N


def unequal_weights(weights: NDArray[Any] | None, rows: int) -> Floats | None:
    """Return weights as given, or None where there are none or all are equal.

    Raises:
        InvalidInput: see `given_weights`.
    """
    if weights is None:
        return None
    given_N = given_weights(weights, rows)
    return None if (given_N == given_N[0]).all() else given_N


def relative_weights(weights: NDArray[Any] | None, rows: int) -> Floats | None:
    """Return the weights that a fit works with, [N], their sum the effective number of rows; None: all are equal.

    Raises:
        InvalidInput: see `given_weights`.
    """
    given_N = unequal_weights(weights, rows)
    return None if given_N is None else given_N * scale_of(float(given_N.sum()), float(given_N @ given_N))


def scale_of(total: float, squares: float) -> float:
    """Return what weights as given are multiplied by, from their sum and their squares' sum."""
    return total / squares


def effective_rows(weight_N: Floats) -> float:
    """Return Kish's effective number of rows, of weights of any scale."""
    total = float(weight_N.sum())
    return total * scale_of(total, float(weight_N @ weight_N))


def among_pool(weight_N: Floats | None, images: int) -> Floats | None:
    """Return the weights of labelled rows and of a pool's images after them, which count once."""
    return None if weight_N is None else np.concatenate([weight_N, np.ones(images)])


def total_of(rows: int, weight_N: Floats | None) -> float:
    """Return how many rows the weighted rows count as."""
    return rows if weight_N is None else float(weight_N.sum())


def weighed(array_NX: Floats, weight_N: Floats | None) -> Floats:
    """Return rows times their weights; without weights the array itself."""
    return array_NX if weight_N is None else array_NX * weight_N.reshape(-1, *(1,) * (array_NX.ndim - 1))


def rooted(array_NX: Floats, weight_N: Floats | None) -> Floats:
    """Return rows times the roots of their weights, of which sums of products are weighted sums."""
    return array_NX if weight_N is None else weighed(array_NX, np.sqrt(weight_N))


def mean_of(array_NX: Floats, weight_N: Floats | None) -> Floats:
    """Return the mean over rows, [X]."""
    if weight_N is None:
        return np.asarray(array_NX.mean(axis=0))
    return np.asarray(weight_N @ array_NX / weight_N.sum())


def known_mean(array_NX: Floats, weight_N: Floats | None) -> Floats:
    """Return the mean [X] over the rows of each column that are not NaN."""
    if weight_N is None:
        return np.asarray(np.nanmean(array_NX, axis=0))
    return np.asarray(weight_N @ np.nan_to_num(array_NX) / (weight_N @ ~np.isnan(array_NX)))


def spread_of(array_NX: Floats, weight_N: Floats | None) -> Floats:
    """Return the standard deviation over rows, [X]."""
    if weight_N is None:
        return np.asarray(array_NX.std(axis=0))
    return np.sqrt(mean_of(np.square(array_NX - mean_of(array_NX, weight_N)), weight_N))


def quantile_of(values_N: Floats, share: float, weight_N: Floats | None) -> float:
    """Return a quantile, interpolated as numpy does.

    With weights it is the weighted form of the same (Akinshin 2023, "Weighted quantile estimators", type 7): with rows
    in order laid end to end, each as long as its weight and n in all, the mean over the stretch from share (n - 1) to
    share (n - 1) + 1.

    Args:
        values_N: at least one.
        share: 0..1.
        weight_N: of any scale.
    """
    if weight_N is None:
        return float(np.quantile(values_N, share))
    order_N = np.argsort(values_N, kind="stable")
    ends_N = np.cumsum(weight_N[order_N] * scale_of(float(weight_N.sum()), float(weight_N @ weight_N)))
    first = share * max(ends_N[-1] - 1.0, 0.0)
    inside_N = np.diff(np.clip(ends_N, first, first + 1.0), prepend=first)
    return float(inside_N @ values_N[order_N] / inside_N.sum())
