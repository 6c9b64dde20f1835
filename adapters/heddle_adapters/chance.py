"""Chance: corrections and intervals that need little, for what is read as a request waits."""

import numpy as np
from scipy.special import ndtri

from heddle_adapters.arrays import Floats


def holm(p_M: Floats) -> Floats:
    """Return p values corrected for M tests, step-down (Holm 1979)."""
    order_M = np.argsort(p_M, kind="stable")
    stepped_M = np.maximum.accumulate(p_M[order_M] * np.arange(len(p_M), 0, -1))
    result_M = np.empty_like(p_M)
    result_M[order_M] = np.minimum(1.0, stepped_M)
    return result_M


def wilson_ends(share: float, trials: float) -> tuple[float, float]:
    """Return the ends of the 95 % score interval of a share (Wilson 1927); 0..1 if there was no trial."""
    if trials == 0:
        return 0.0, 1.0
    z = float(ndtri(0.975))
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = z / (1 + z * z / trials) * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return max(0.0, float(middle - reach)), min(1.0, float(middle + reach))
