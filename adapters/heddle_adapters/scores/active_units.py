"""Active units (Burda et al. 2016, section 2): how many codes vary at all? The alarm for a collapsed base."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats, Mask
from heddle_adapters.scores.bounds import number
from heddle_adapters.scores.information import codes_of
from heddle_adapters.scores.result import Score, protocol_of
from heddle_platform.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class ActiveUnitsResult(Score):
    """The number of active codes.

    Attributes:
        share: of all codes.
        variance_L: of each code over the rows.
        active_L: which count.
    """

    share: float
    variance_L: Floats
    active_L: Mask


def active_units(
    codes: NDArray[Any], factors: NDArray[Any] | None = None, *, threshold: float = 0.01
) -> ActiveUnitsResult:
    """Return how many codes have a variance above the threshold.

    Args:
        codes: [N, L], encoder means in the base's own unit: this is the one score that a unit must decide.
        factors: [N, F], not looked at further; here so that every score can be called alike, by `jackknife` for one.
        threshold: variance, .01 as published for a prior of variance 1.

    Raises:
        InvalidInput: codes `not_finite`, `wrong_shape`, `too_few_rows`.
    """
    codes_NL = codes_of(codes, factors)
    number("threshold", threshold, 0.0)
    if len(codes_NL) < 2:
        raise InvalidInput(f"there is {len(codes_NL)} row, a variance needs at least 2", code="too_few_rows")
    variance_L = codes_NL.var(axis=0, ddof=1)
    active_L = variance_L > threshold
    return ActiveUnitsResult(
        value=float(np.count_nonzero(active_L)),
        protocol=protocol_of("active_units", threshold=threshold, n=len(codes_NL), codes=codes_NL.shape[1]),
        share=float(active_L.mean()),
        variance_L=variance_L,
        active_L=active_L,
    )
