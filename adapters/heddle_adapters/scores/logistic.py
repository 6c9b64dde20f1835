"""Multinomial logistic regression as the published scores use it, on weighted rows and on one thread.

The published implementations call scikit-learn's `LogisticRegression`. Objective, start, solver (L-BFGS) and stopping
rule are its own, so where a hundred steps do not converge the same unfinished classifier comes out, up to rounding.
Only the loss is computed otherwise: block by block while the rows are in the cache, the weights of rows put on their
few codes instead of on their many levels, and the exponentials without a search for each row's largest logit.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from heddle_adapters.arrays import Floats, Integers
from heddle_adapters.one_thread import one_thread

_BLOCK = 1_024  # rows; times 40 levels they fill a third of a megabyte
_LARGEST_LOGIT = 600.0  # exponentials of up to this many of either sign, and their sums, are floats


@dataclass(frozen=True, eq=False)
class Reading:
    """A fitted classifier.

    Attributes:
        levels_K: levels it knows, in order.
        weight_KR: weights of the codes and, last, the intercept.
    """

    levels_K: Integers
    weight_KR: Floats

    def shares(self, codes_NL: Floats) -> Floats:
        """Return the probability of each level it knows, [N, K]."""
        logits_NK = codes_NL @ self.weight_KR[:, :-1].T + self.weight_KR[:, -1]
        return np.asarray(softmax(logits_NK, axis=1), dtype=np.float64)

    def read(self, codes_NL: Floats) -> Integers:
        """Return the most probable level of each row."""
        return np.asarray(self.levels_K[self.shares(codes_NL).argmax(axis=1)], dtype=np.int64)


def fit_logistic(
    codes_NL: Floats,
    levels_N: Integers,
    *,
    weight_N: Integers | None = None,
    penalty: float = 1.0,
    balanced: bool = False,
    steps: int = 100,
) -> Reading:
    """Fit a classifier whose penalty and stopping rule are scikit-learn's defaults.

    Args:
        codes_NL: standardised; may have no columns, and then only shares of levels are learnt.
        levels_N: levels.
        weight_N: how often each row counts; None is once.
        penalty: 1 / C of scikit-learn; 0 for none.
        balanced: weigh levels evenly.
        steps: of L-BFGS, 100 in the published implementations; not converging is not an error there either.
    """
    levels_K, place_N = np.unique(levels_N, return_inverse=True)
    if len(levels_K) == 1:
        return Reading(levels_K, np.zeros((1, codes_NL.shape[1] + 1)))
    share_N = np.ones(len(levels_N)) if weight_N is None else weight_N.astype(np.float64)
    if balanced:
        share_N = share_N * (share_N.sum() / (len(levels_K) * np.bincount(place_N, share_N)))[place_N]
    total = float(share_N.sum())
    loss = _Loss(codes_NL, place_N, len(levels_K), share_N / total, penalty / total)
    with one_thread():
        found = minimize(
            loss.value_and_gradient,
            np.zeros(loss.free_rows * (codes_NL.shape[1] + 1)),
            jac=True,
            method="L-BFGS-B",
            # as scikit-learn stops
            options={"maxiter": steps, "maxls": 50, "gtol": 1e-4, "ftol": 64 * float(np.finfo(np.float64).eps)},
        )
    return Reading(levels_K, loss.weights(np.asarray(found.x, dtype=np.float64)))


class _Loss:
    """Mean negative log-likelihood in nats plus half the penalty times the squared weights, intercepts free.

    Two levels have one row of weights, the second's, as in scikit-learn: with a row each they would be penalised half
    as much.
    """

    def __init__(self, codes_NL: Floats, place_N: Integers, levels: int, share_N: Floats, penalty: float) -> None:
        self.free_rows = 1 if levels == 2 else levels
        self._levels, self._share_N, self._penalty = levels, share_N, penalty
        self._rows_NR = np.hstack([codes_NL, np.ones((len(codes_NL), 1))])
        self._rows_RN = np.ascontiguousarray(self._rows_NR.T)
        own = [np.bincount(place_N, share_N * row_N, minlength=levels) for row_N in self._rows_RN]
        self._own_KR: Floats = np.array(own, dtype=np.float64).T
        self._longest = float(np.sqrt(np.square(self._rows_NR).sum(axis=1).max()))

    def weights(self, flat: Floats) -> Floats:
        """Return the weights of all levels, [K, R]."""
        weight_KR = flat.reshape(self.free_rows, -1)
        return np.vstack([np.zeros_like(weight_KR), weight_KR]) if self._levels == 2 else weight_KR

    def value_and_gradient(self, flat: Floats) -> tuple[float, Floats]:
        """Return the loss and its gradient, as flat as the weights."""
        weight_KR = self.weights(flat)
        # no logit is larger than the longest row times the longest weights, so that few solves ever look
        bounded = self._longest * np.sqrt(np.square(weight_KR).sum(axis=1).max()) < _LARGEST_LOGIT
        value, gradient_KR = -float((weight_KR * self._own_KR).sum()), -self._own_KR
        for start in range(0, len(self._rows_NR), _BLOCK):
            block = slice(start, start + _BLOCK)
            power_KB = weight_KR @ self._rows_RN[:, block]
            top_B = np.zeros(power_KB.shape[1])
            if not bounded:
                top_B = power_KB.max(axis=0)
                power_KB -= top_B
            np.exp(power_KB, out=power_KB)
            sum_B, share_B = power_KB.sum(axis=0), self._share_N[block]
            value += float(share_B @ (np.log(sum_B) + top_B))
            gradient_KR += power_KB @ (self._rows_NR[block] * (share_B / sum_B)[:, None])
        value += self._penalty / 2 * float(np.square(weight_KR[:, :-1]).sum())
        gradient_KR[:, :-1] += self._penalty * weight_KR[:, :-1]
        return value, gradient_KR[-self.free_rows :].ravel()


def ranking(shares_NK: Floats, levels_K: Integers, truth_N: Integers) -> float:
    """Return the area under the ROC curve, one level against the rest, mean over levels; ties count half.

    Levels that all judged rows have or none has are left out; NaN if there is no other.
    """
    areas = []
    for level, share_N in zip(levels_K, shares_NK.T, strict=True):
        own_N = truth_N == level
        count = int(np.count_nonzero(own_N))
        rest = len(truth_N) - count
        if count == 0 or rest == 0:
            continue
        sorted_N, asked_N = np.sort(share_N), share_N[own_N]
        # twice the rank among all rows, that of equals their mean
        rank_N = np.searchsorted(sorted_N, asked_N, "left") + np.searchsorted(sorted_N, asked_N, "right") + 1
        areas.append((float(rank_N.sum()) / 2 - count * (count + 1) / 2) / (count * rest))
    return float(np.mean(areas)) if areas else float("nan")
