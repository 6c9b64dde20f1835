"""Latent predictability (Fruytier et al. 2025): how well is each code foretold by the others?

A health check of a base that needs no labels: 0 where codes are independent, 1 where they repeat each other. It is
blind to rotations of independent Gaussian codes and says nothing about factors. By ridge it reads .000, .952, .000 on
`metric_golden.npz` (good, rotated, random). disentanglement_lib has no counterpart.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats, Integers
from heddle_adapters.one_thread import one_thread
from heddle_adapters.scores.bounds import folds_of, one_of, seed_of
from heddle_adapters.scores.columns import alive, standardised
from heddle_adapters.scores.information import codes_of
from heddle_adapters.scores.result import Score, protocol_of

_RIDGE = 1.0  # rows' worth of shrinkage on standardised codes


@dataclass(frozen=True, eq=False)
class LpsResult(Score):
    """Mean over live codes of max(0, R squared).

    Attributes:
        per_code: cross-validated R squared of each code from the others, [L]; NaN for dead codes.
    """

    per_code: Floats


def lps(
    codes: NDArray[Any],
    factors: NDArray[Any] | None = None,
    *,
    estimator: Literal["ridge", "boosted"] = "ridge",
    folds: int = 5,
    seed: int = 0,
) -> LpsResult:
    """Return the mean over codes of their cross-validated R squared from all other codes, not below 0.

    Args:
        codes: [N, L]; dead codes are left out, one live code alone gives 0.
        factors: [N, F], not looked at further; here so that every score can be called alike, by `jackknife` for one.
        estimator: "ridge" (closed form: straight lines only) or "boosted" (histogram gradient boosting with
            scikit-learn's defaults: any dependence, far slower).
        folds: of the cross-validation.
        seed: of the folds.

    Raises:
        InvalidInput: codes `not_finite`, `wrong_shape`, `too_few_rows`, `unknown_estimator`.
    """
    codes_NL = codes_of(codes, factors)
    one_of("estimator", estimator, ("ridge", "boosted"))
    seed_of(seed)
    folds_of(folds, len(codes_NL))
    place_M = np.flatnonzero(alive(codes_NL))
    per_code = np.full(codes_NL.shape[1], np.nan)
    if len(place_M):
        live_NM = standardised(codes_NL[:, place_M])
        fold_N = np.random.default_rng(seed).permutation(len(live_NM)) % folds
        with one_thread():
            foretold_NM = _by_ridge(live_NM, fold_N) if estimator == "ridge" else _by_trees(live_NM, fold_N)
        per_code[place_M] = 1.0 - np.square(live_NM - foretold_NM).sum(axis=0) / np.square(live_NM).sum(axis=0)
    return LpsResult(
        value=float(np.maximum(per_code[place_M], 0.0).mean()) if len(place_M) else 0.0,
        protocol=protocol_of("lps", model=estimator, folds=folds, n=len(codes_NL), seed=seed),
        per_code=per_code,
    )


def _by_ridge(live_NM: Floats, fold_N: Integers) -> Floats:
    """All codes from all others at once: the weights of code i are row i of the inverse over its diagonal, negated."""
    result_NM = np.empty_like(live_NM)
    for fold in np.unique(fold_N):
        held_N = fold_N == fold
        mean_M = live_NM[~held_N].mean(axis=0)
        taught_NM, judged_NM = live_NM[~held_N] - mean_M, live_NM[held_N] - mean_M
        inverse_MM = np.linalg.inv(taught_NM.T @ taught_NM + _RIDGE * np.eye(live_NM.shape[1]))
        weights_MM = -inverse_MM / np.diag(inverse_MM)
        np.fill_diagonal(weights_MM, 0.0)
        result_NM[held_N] = judged_NM @ weights_MM + mean_M
    return result_NM


def _by_trees(live_NM: Floats, fold_N: Integers) -> Floats:
    from sklearn.ensemble import HistGradientBoostingRegressor  # half a second, for this estimator only

    result_NM = np.empty_like(live_NM)
    for fold in np.unique(fold_N):
        held_N = fold_N == fold
        for index in range(live_NM.shape[1]):
            others_NM = np.delete(live_NM, index, axis=1)
            if others_NM.shape[1] == 0:
                result_NM[held_N, index] = live_NM[~held_N, index].mean()
                continue
            with one_thread():  # again, for the import has brought a library of its own
                model = HistGradientBoostingRegressor(random_state=0).fit(others_NM[~held_N], live_NM[~held_N, index])
                result_NM[held_N, index] = model.predict(others_NM[held_N])
    return result_NM
