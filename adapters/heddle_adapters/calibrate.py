"""Calibration: how sure a reading may claim to be, learnt from rows the reading never saw."""

import numpy as np

from heddle_adapters.arrays import Floats, Integers, Mask, Singles
from heddle_adapters.read import softmax
from heddle_adapters.weights import mean_of

COLDEST, HOTTEST = 0.05, 50.0
NEWTON_STEPS = 30
NO_LEVEL = -1e30  # a logit no level ever has
_FARTHEST = -1e4  # from the first level's logit; none farther off counts
_LEAST_EXPONENT = np.float32(-80.0)  # below lie numbers so small that they are ten times as slow to reckon with
SETTLED = 1e-4  # share of the inverse temperature; a smaller step is not taken


def temperature_of(
    logits_NK: Floats, levels_N: Integers, first: float = 1.0, weight_N: Floats | None = None
) -> tuple[float, float]:
    """Return the temperature that makes out-of-fold logits most likely (Guo et al. 2017), and the mean loss there.

    The loss is convex in the inverse temperature, whose Newton step is (mean logit of the truth - mean expected
    logit) / mean variance of the logit under the model.

    Args:
        logits_NK: out-of-fold logits.
        levels_N: true levels.
        first: temperature to begin at.
        weight_N: of the rows, see `weights`.

    Returns:
        (temperature in .05..50, mean negative log-likelihood in nats).
    """
    logits_1KN = np.ascontiguousarray(logits_NK.T)[None]
    temperature_M, loss_M = temperatures_of(logits_1KN, levels_N[None], first, weight_N)
    return float(temperature_M[0]), float(loss_M[0])


def temperatures_of(
    logits_MKN: Floats, levels_MN: Integers, first: float = 1.0, weight_N: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return `temperature_of` of M sets of logits side by side, [M] and [M]; one does not depend on the others.

    Args:
        logits_MKN: levels before rows, so that sums over a few levels are sums of long rows; a set with fewer levels
            is filled up with `NO_LEVEL`.
        levels_MN: true levels, -1 where a label is missing; every set has a label.
        first: temperature to begin at.
        weight_N: of the rows, the same in all sets.
    """
    count_MN = levels_MN >= 0 if weight_N is None else (levels_MN >= 0) * weight_N
    rows_M = count_MN.sum(axis=1)
    logits_MKN = np.maximum(logits_MKN - logits_MKN.max(axis=1, keepdims=True), _FARTHEST)
    truth_MN = np.take_along_axis(logits_MKN, np.maximum(levels_MN, 0)[:, None], axis=1)[:, 0]
    truth_M = (truth_MN * count_MN).sum(axis=1) / rows_M
    inverse_M = np.full(len(rows_M), 1.0 / first)
    # steps in single precision, sums over rows in double: a step is taken to one in ten thousand
    moving, some_MKN, share_MN = np.arange(len(rows_M)), logits_MKN.astype(np.float32), _shares(count_MN, rows_M)
    for _ in range(NEWTON_STEPS):
        before_M = inverse_M[moving]
        weight_MKN = before_M.astype(np.float32)[:, None, None] * some_MKN
        np.exp(np.maximum(weight_MKN, _LEAST_EXPONENT, out=weight_MKN), out=weight_MKN)
        total_MN = weight_MKN.sum(axis=1)
        weight_MKN *= some_MKN
        expected_MN = weight_MKN.sum(axis=1) / total_MN
        weight_MKN *= some_MKN
        spread_MN = weight_MKN.sum(axis=1) / total_MN - np.square(expected_MN)
        spread_M = (spread_MN * share_MN).sum(axis=1, dtype=np.float64)
        step_M = truth_M[moving] - (expected_MN * share_MN).sum(axis=1, dtype=np.float64)
        step_M /= np.maximum(spread_M, 1e-12)
        # a step may not more than double or halve: far out the curvature says nothing
        lowest_M, highest_M = np.maximum(before_M / 2, 1 / HOTTEST), np.minimum(before_M * 2, 1 / COLDEST)
        moved_M = np.minimum(np.maximum(before_M + step_M, lowest_M), highest_M)
        moves_M = np.abs(moved_M - before_M) >= SETTLED * before_M
        if not moves_M.all():
            if not moves_M.any():
                break
            moving, moved_M = moving[moves_M], moved_M[moves_M]
            some_MKN, share_MN = some_MKN[moves_M], share_MN[moves_M]
        inverse_M[moving] = moved_M
    total_MN = np.log(np.exp(inverse_M[:, None, None] * logits_MKN).sum(axis=1))
    return 1.0 / inverse_M, (total_MN * count_MN).sum(axis=1) / rows_M - inverse_M * truth_M


def _shares(count_MN: Mask | Floats, rows_M: Integers | Floats) -> Singles:
    """Return what a row counts for in the mean over the rows with a label, [M, N]."""
    return (count_MN / rows_M[:, None]).astype(np.float32)


def calibration_error(
    logits_NK: Floats, levels_N: Integers, bins: int = 10, *, weight_N: Floats | None = None
) -> float:
    """Return the expected calibration error of calibrated logits: mean |confidence - accuracy| over bins, 0..1."""
    probabilities_NK = softmax(logits_NK)
    confidence_N = probabilities_NK.max(axis=1)
    right_N = probabilities_NK.argmax(axis=1) == levels_N
    bin_N = np.minimum((confidence_N * bins).astype(int), bins - 1)
    gaps = []
    for index in np.unique(bin_N):
        own_N = bin_N == index
        weights = None if weight_N is None else weight_N[own_N]
        gap = abs(mean_of(confidence_N[own_N], weights) - mean_of(right_N[own_N], weights))
        gaps.append(gap * mean_of(own_N, weight_N))
    return float(np.sum(gaps))


def angle_error(values_N: Floats, truth_N: Floats, period: float) -> Floats:
    """Return differences on a circle, in radians, -pi..pi."""
    turn_N = (values_N - truth_N) * (2 * np.pi / period)
    result: Floats = (turn_N + np.pi) % (2 * np.pi) - np.pi
    return result
