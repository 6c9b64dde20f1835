"""Discrete information, in nats: entropies and mutual information of binned codes and factors.

Bins are equally wide between a column's least and greatest value, as in disentanglement_lib; 20 of them by
default. All functions are exact for the bins given; at small n the estimate is biased upwards.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from heddle_adapters.arrays import Floats, Integers, finite_matrix
from heddle_adapters.scores.neighbours import count_nearer
from heddle_platform.errors import InvalidInput


def checked(codes: NDArray[np.generic], factors: NDArray[np.generic]) -> tuple[Floats, Floats]:
    """Return codes [N, L] and factors [N, F] as float64, every factor with two values or more.

    Raises:
        InvalidInput: see `tables`; code `constant_factor`.
    """
    codes_NL, factors_NF = tables(codes, factors)
    for index in range(factors_NF.shape[1]):
        if factors_NF[:, index].min() == factors_NF[:, index].max():
            raise InvalidInput(
                f"factor {index} has 1 distinct value over {len(factors_NF)} rows, at least 2 are needed; "
                "leave it out or add rows that differ in it",
                code="constant_factor",
                param=str(index),
            )
    return codes_NL, factors_NF


def tables(codes: NDArray[np.generic], factors: NDArray[np.generic]) -> tuple[Floats, Floats]:
    """Return codes [N, L] and factors [N, F] as float64.

    Raises:
        InvalidInput: codes `wrong_shape`, `not_numbers`, `not_finite`, `row_count_mismatch`.
    """
    codes_NL, factors_NF = finite_matrix(codes, "codes"), finite_matrix(factors, "factors")
    same_rows(codes_NL, factors_NF)
    return codes_NL, factors_NF


def same_rows(codes: NDArray[np.generic], factors: NDArray[np.generic]) -> int:
    """Return how many rows both have.

    Raises:
        InvalidInput: code `row_count_mismatch`.
    """
    if len(codes) != len(factors):
        raise InvalidInput(
            f"codes have {len(codes)} rows, factors {len(factors)}; they must be equal",
            code="row_count_mismatch",
            param="factors",
        )
    return len(codes)


def codes_of(codes: NDArray[np.generic], factors: NDArray[np.generic] | None) -> Floats:
    """Return the codes [N, L] of a score that asks for no factors, whether or not some were given.

    Raises:
        InvalidInput: see `tables`.
    """
    return finite_matrix(codes, "codes") if factors is None else tables(codes, factors)[0]


def levels_of(factors_NF: Floats, only: int | None = None) -> list[Integers]:
    """Return each factor's values as levels 0..K-1, or one factor's alone.

    Raises:
        InvalidInput: code `unique_labels` (each row its own level: a number, not a category) or
            `too_few_rows` (fewer than two rows a level on average).
    """
    columns = []
    rows = len(factors_NF)
    for index in range(factors_NF.shape[1]) if only is None else (only,):
        distinct, inverse = np.unique(factors_NF[:, index], return_inverse=True)
        if len(distinct) == rows and rows > 2:
            raise InvalidInput(
                f"factor {index} has {len(distinct)} distinct values in {rows} rows; it is a number, not a category: "
                "declare it continuous",
                code="unique_labels",
                param=str(index),
            )
        if rows < 2 * len(distinct) and rows > 4:
            raise InvalidInput(
                f"factor {index} has {len(distinct)} levels in {rows} rows, {2 * len(distinct)} rows are needed; "
                "add rows, join rare levels, or declare it continuous if it is a number",
                code="too_few_rows",
                param=str(index),
            )
        columns.append(inverse.astype(np.int64))
    return columns


def binned(column_N: Floats, bins: int = 20) -> Integers:
    """Return the equal-width bin 0..bins-1 of each value; a constant column is all in one bin."""
    low, high = float(column_N.min()), float(column_N.max())
    if low == high:
        return np.zeros(len(column_N), dtype=np.int64)
    # numpy's own histogram edges, so that values on an edge fall where disentanglement_lib puts them
    edges = np.linspace(low, high, bins + 1)
    return np.digitize(column_N, edges[:-1]).astype(np.int64) - 1


def entropy(levels_N: Integers) -> float:
    """Return the entropy of levels, in nats."""
    count_K = np.bincount(levels_N)
    share_K = count_K[count_K > 0] / len(levels_N)
    return float(-(share_K * np.log(share_K)).sum())


def mutual_information(first_N: Integers, second_N: Integers) -> float:
    """Return I(first; second) of two columns of levels 0.., in nats."""
    width = int(second_N.max()) + 1
    joint = np.bincount(first_N * width + second_N, minlength=(int(first_N.max()) + 1) * width)
    joint_IJ = joint.reshape(-1, width) / len(first_N)
    expected_IJ = joint_IJ.sum(axis=1, keepdims=True) * joint_IJ.sum(axis=0, keepdims=True)
    seen = joint_IJ > 0
    return float((joint_IJ[seen] * np.log(joint_IJ[seen] / expected_IJ[seen])).sum())


def binned_information(codes_NL: Floats, columns: Sequence[Integers], bins: int) -> Floats:
    """Return I(binned code; factor) of all pairs, [L, F], in nats."""
    return np.array(
        [[mutual_information(bin_N, column_N) for column_N in columns] for bin_N in binned_columns(codes_NL, bins)]
    )


def binned_columns(codes_NL: Floats, bins: int) -> list[Integers]:
    """Return the bins of every code."""
    return [binned(code_N, bins) for code_N in codes_NL.T]


def knn_information(codes_NL: Floats, columns: Sequence[Integers], k: int) -> Floats:
    """Return I(code; factor) of all pairs by k nearest neighbours, [L, F], in nats; a constant code has none."""
    return np.array(
        [
            [
                mutual_information_knn(code_N, column_N, k) if code_N.min() < code_N.max() else 0.0
                for column_N in columns
            ]
            for code_N in codes_NL.T
        ]
    )


def mutual_information_knn(code_N: Floats, levels_N: Integers, k: int = 3) -> float:
    """Return I(code; levels) by k nearest neighbours (Ross 2014, eq. 2), in nats, not below 0.

    Much less biased than bins at n of a few hundred. Values that are equal count as neighbours at distance 0, all
    of them (Gao et al. 2017). Levels with one row say nothing and are left out.
    """
    kept_N = np.bincount(levels_N)[levels_N] > 1
    code_N, levels_N = code_N[kept_N], levels_N[kept_N]
    if len(code_N) == 0:
        return 0.0
    found = count_nearer(code_N, levels_N, k)
    digamma_N = digamma(np.arange(len(code_N) + 1))
    mean = [float(digamma_N[counts_N].mean()) for counts_N in (found.reach_N, found.size_N, found.near_N)]
    return max(0.0, float(digamma_N[-1]) + mean[0] - mean[1] - mean[2])
