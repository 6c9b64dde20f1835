"""Code columns before they are scored: which are alive, on what scale, in what order."""

import numpy as np

from heddle_adapters.arrays import Floats, Mask

_DEAD = 1e-12  # range over magnitude below which a column is rounding noise about a constant


def alive(codes_NL: Floats) -> Mask:
    """Return which codes are not constant, [L]. A dead code says nothing and must not change a score."""
    spread_L = codes_NL.max(axis=0) - codes_NL.min(axis=0)
    result: Mask = spread_L > _DEAD * np.abs(codes_NL).max(axis=0)
    return result


def standardised(codes_NL: Floats) -> Floats:
    """Return codes with mean 0 and standard deviation 1; a constant one is 0."""
    # by a power of two, which is exact: squares of very small codes would vanish
    codes_NL = np.ldexp(codes_NL, -np.frexp(np.abs(codes_NL).max(axis=0))[1])
    spread_L = codes_NL.std(axis=0)
    result: Floats = (codes_NL - codes_NL.mean(axis=0)) / np.where(spread_L > 0, spread_L, 1.0)
    return result


def canonical(codes_NL: Floats) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Return live codes standardised, turned to positive skewness, in an order of their own, and where each came from.

    A learner that draws columns and thresholds at random then sees the same table whatever the scale, the sign and
    the order of the codes, and wherever dead ones stood.

    Returns:
        codes [N, M] and their places among the L columns, [M].
    """
    place_M = np.flatnonzero(alive(codes_NL))
    live_NM = standardised(codes_NL[:, place_M])
    live_NM = live_NM * np.where((live_NM**3).sum(axis=0) < 0, -1.0, 1.0)
    # rounded, so that a scale which moved the last digit does not reorder; a few rows tell any two codes apart
    order_M = np.lexsort(np.round(live_NM[:8], 6))
    return live_NM[:, order_M], place_M[order_M]
