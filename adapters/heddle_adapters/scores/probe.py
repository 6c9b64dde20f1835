"""Probe: how well can each factor be read linearly from the codes, on rows the reader never saw?

The acceptance test tenants understand. Also judges readings made elsewhere (an adapter's own, out of fold).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats
from heddle_adapters.one_thread import one_thread
from heddle_adapters.scores.bounds import folds_of, seed_of
from heddle_adapters.scores.columns import standardised
from heddle_adapters.scores.information import checked
from heddle_adapters.scores.jackknife import jackknife, wilson
from heddle_adapters.scores.kinds import NUMBERS, factor_levels, kinds_of, on_circle, unit_range
from heddle_adapters.scores.result import Interval, Score, protocol_of
from heddle_adapters.weights import effective_rows, mean_of, weighed

_RIDGES = (0.1, 1.0, 10.0, 100.0, 1000.0)


@dataclass(frozen=True, eq=False)
class ProbeResult(Score):
    """Mean out-of-fold skill; per factor accuracy (levels) or R squared (numbers; both columns of an angle), [F]."""

    per_factor: Floats
    intervals: tuple[Interval, ...]


def probe(
    codes: NDArray[Any], factors: NDArray[Any], kinds: Sequence[str] | None = None, folds: int = 5, seed: int = 0
) -> ProbeResult:
    """Read every factor with a ridge model, out of fold.

    Args:
        codes: [N, L].
        factors: [N, F].
        kinds: kind of each factor; None takes all as levels.
            A periodic one is read as (cos, sin), for a line knows no way round.
        folds: number of folds.
        seed: of the cut.

    Raises:
        InvalidInput: codes `constant_factor`, `not_finite`, `wrong_shape`, `row_count_mismatch`, `too_few_rows`,
            `unique_labels`, `kind_count_mismatch`, `unknown_kind`.
    """
    codes_NL, factors_NF = checked(codes, factors)
    seed_of(seed)
    known = kinds_of(kinds, factors_NF.shape[1])
    levels = factor_levels(factors_NF, known, 20)
    folds_of(folds, len(codes_NL))
    fold_N = np.random.default_rng(seed).permutation(len(codes_NL)) % folds
    scaled_NL = standardised(codes_NL)  # so that a code's unit does not decide how much the ridge shrinks it
    values, intervals = [], []
    for index, kind in enumerate(known):
        number = kind in NUMBERS
        truth_NP = _columns(factors_NF[:, index], kind) if number else levels[index].astype(np.float64)[:, None]
        read_NP = np.empty(truth_NP.shape)
        for fold in range(folds):
            held_N = fold_N == fold
            for truth_N, read_N in zip(truth_NP.T, read_NP.T, strict=True):
                read_N[held_N] = _read(scaled_NL[~held_N], truth_N[~held_N], scaled_NL[held_N], number=number)
        value, interval = judged_numbers(read_NP, truth_NP) if number else judged_levels(read_NP[:, 0], truth_NP[:, 0])
        values.append(value)
        intervals.append(interval)
    return ProbeResult(
        value=float(np.mean(values)),
        protocol=protocol_of("probe", version=3, model="ridge", folds=folds, n=len(codes_NL), seed=seed),
        per_factor=np.array(values),
        intervals=tuple(intervals),
    )


def _columns(factor_N: Floats, kind: str) -> Floats:
    return on_circle(factor_N) if kind == "periodic" else unit_range(factor_N)[:, None]


def _read(taught_NL: Floats, truth_N: Floats, judged_NL: Floats, *, number: bool) -> Floats:
    if truth_N.min() == truth_N.max():
        return np.full(len(judged_NL), truth_N[0])
    from sklearn.linear_model import RidgeClassifierCV, RidgeCV  # half a second, for this score only

    model = RidgeCV(alphas=_RIDGES) if number else RidgeClassifierCV(alphas=_RIDGES)
    with one_thread():
        return np.asarray(model.fit(taught_NL, truth_N).predict(judged_NL), dtype=np.float64)


def judged_levels(read_N: Floats, truth_N: Floats, weight_N: Floats | None = None) -> tuple[float, Interval]:
    """Return accuracy and its Wilson interval, of the effective number of rows where they have weights."""
    if weight_N is not None:
        share, rows = float(mean_of(read_N == truth_N, weight_N)), effective_rows(weight_N)
        return share, wilson(share * rows, rows)
    right = int(np.count_nonzero(read_N == truth_N))
    return right / len(truth_N), wilson(right, len(truth_N))


def judged_numbers(read_N: Floats, truth_N: Floats, weight_N: Floats | None = None) -> tuple[float, Interval]:
    """Return R squared and its jackknife interval, of one column [N] or several [N, P]; under 20 rows the widest."""
    value = r_squared(read_N, truth_N, weight_N)
    if len(truth_N) < 20:
        return value, Interval(value, min(value, -1.0), 1.0, protocol_of("none", n=len(truth_N)))
    read_NP, truth_NP = read_N.reshape(len(read_N), -1), truth_N.reshape(len(truth_N), -1)
    if weight_N is None:
        return value, jackknife(r_squared, read_NP, truth_NP)
    told_NP = np.hstack([read_NP, weight_N[:, None]])  # a row that is left out takes its weight along
    return value, jackknife(lambda told, truth: r_squared(told[:, :-1], truth, told[:, -1]), told_NP, truth_NP)


def r_squared(read_N: Floats, truth_N: Floats, weight_N: Floats | None = None) -> float:
    """Return 1 - squared error over spread about the mean, summed over columns where there are several."""
    spread = float(weighed(np.square(truth_N - mean_of(truth_N, weight_N)), weight_N).sum())
    return 1.0 - float(weighed(np.square(truth_N - read_N), weight_N).sum()) / spread if spread > 0 else 0.0


def r_squared_on_circle(read_N: Floats, truth_N: Floats, period: float, weight_N: Floats | None = None) -> float:
    """Return 1 - squared chord over spread of the points on the unit circle."""
    turn = 2 * np.pi / period
    read_N2 = np.stack([np.cos(read_N * turn), np.sin(read_N * turn)], axis=1)
    truth_N2 = np.stack([np.cos(truth_N * turn), np.sin(truth_N * turn)], axis=1)
    return r_squared(read_N2, truth_N2, weight_N)
