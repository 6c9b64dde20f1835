"""Calibration: how sure a reading may claim to be, learnt from rows the reading never saw."""

import numpy as np

from heddle_adapters.arrays import Floats, Integers
from heddle_adapters.read import softmax

COLDEST, HOTTEST = 0.05, 50.0
NEWTON_STEPS = 30
SETTLED = 1e-4  # share of the inverse temperature; a smaller step is not taken


def temperature_of(logits_NK: Floats, levels_N: Integers, first: float = 1.0) -> tuple[float, float]:
    """Return the temperature that makes out-of-fold logits most likely (Guo et al. 2017), and the mean loss there.

    The loss is convex in the inverse temperature, whose Newton step is (mean logit of the truth - mean expected
    logit) / mean variance of the logit under the model.

    Args:
        logits_NK: out-of-fold logits.
        levels_N: true levels.
        first: temperature to begin at.

    Returns:
        (temperature in .05..50, mean negative log-likelihood in nats).
    """
    # levels first: sums over a few levels are then sums of long rows
    logits_KN = np.ascontiguousarray(logits_NK.T)
    logits_KN -= logits_KN.max(axis=0)
    rows = len(levels_N)
    truth = float(logits_KN[levels_N, np.arange(rows)].mean())
    inverse = 1.0 / first
    for _ in range(NEWTON_STEPS):
        weight_KN = np.exp(inverse * logits_KN)
        total_N = weight_KN.sum(axis=0)
        weight_KN *= logits_KN
        expected_N = weight_KN.sum(axis=0) / total_N
        weight_KN *= logits_KN
        square_N = weight_KN.sum(axis=0) / total_N
        spread = float(square_N.sum() - expected_N @ expected_N) / rows
        step = (truth - float(expected_N.sum()) / rows) / max(spread, 1e-12)
        # a step may not more than double or halve: far out the curvature says nothing
        lowest, highest = max(inverse / 2, 1 / HOTTEST), min(inverse * 2, 1 / COLDEST)
        moved = min(max(inverse + step, lowest), highest)
        if abs(moved - inverse) < SETTLED * inverse:
            break
        inverse = moved
    loss = np.log(np.exp(inverse * logits_KN).sum(axis=0)).mean() - inverse * truth
    return 1.0 / inverse, float(loss)


def calibration_error(logits_NK: Floats, levels_N: Integers, bins: int = 10) -> float:
    """Return the expected calibration error of calibrated logits: mean |confidence - accuracy| over bins, 0..1."""
    probabilities_NK = softmax(logits_NK)
    confidence_N = probabilities_NK.max(axis=1)
    right_N = probabilities_NK.argmax(axis=1) == levels_N
    bin_N = np.minimum((confidence_N * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence_N[bin_N == index].mean() - right_N[bin_N == index].mean()) * (bin_N == index).mean()
        for index in np.unique(bin_N)
    ]
    return float(np.sum(gaps))


def angle_error(values_N: Floats, truth_N: Floats, period: float) -> Floats:
    """Return differences on a circle, in radians, -pi..pi."""
    turn_N = (values_N - truth_N) * (2 * np.pi / period)
    result: Floats = (turn_N + np.pi) % (2 * np.pi) - np.pi
    return result
