"""Total correlation of the codes as if they were Gaussian: how much do they say about each other, in nats?

Half of (sum of log variances - log determinant of the covariance). disentanglement_lib's
`gaussian_total_correlation` returns .0023737, 7.6778146, .0025755 on `metric_golden.npz` (good, rotated, random); so
does this one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats
from heddle_adapters.scores.columns import alive, standardised
from heddle_adapters.scores.information import codes_of
from heddle_adapters.scores.result import Score, protocol_of
from heddle_platform.errors import InvalidInput

_SINGULAR = 1e-10  # least eigenvalue of a correlation matrix that is still told from 0


@dataclass(frozen=True, eq=False)
class TotalCorrelationResult(Score):
    """Nats, 0 for uncorrelated codes.

    Attributes:
        chance: what independent codes read at this n, L (L - 1) / (4 n).
        correlation_LL: of all codes; NaN for dead ones.
    """

    chance: float
    correlation_LL: Floats


def total_correlation(codes: NDArray[Any], factors: NDArray[Any] | None = None) -> TotalCorrelationResult:
    """Return the Gaussian total correlation of the live codes; one alone, or none, gives 0.

    Args:
        codes: [N, L].
        factors: [N, F], not looked at further; here so that every score can be called alike, by `jackknife` for one.

    Raises:
        InvalidInput: codes `not_finite`, `wrong_shape`, `too_few_rows` (not more rows than live codes),
            `collinear_codes` (codes that determine each other say infinitely much).
    """
    codes_NL = codes_of(codes, factors)
    place_M = np.flatnonzero(alive(codes_NL))
    least = max(2, len(place_M) + 1)
    if len(codes_NL) < least:
        raise InvalidInput(
            f"there are {len(codes_NL)} rows, {len(place_M)} codes that vary need at least {least}",
            code="too_few_rows",
        )
    live_NM = standardised(codes_NL[:, place_M])
    correlation_MM = live_NM.T @ live_NM / len(live_NM)
    eigenvalues_M = np.linalg.eigvalsh(correlation_MM) if len(place_M) else np.ones(0)
    if len(place_M) and eigenvalues_M[0] < _SINGULAR:
        raise InvalidInput(
            f"codes determine each other (least eigenvalue of their correlations {eigenvalues_M[0]:.1e}, at least "
            f"{_SINGULAR:.0e} is needed): their total correlation is infinite; drop repeated codes",
            code="collinear_codes",
        )
    correlation_LL = np.full((codes_NL.shape[1],) * 2, np.nan)
    correlation_LL[np.ix_(place_M, place_M)] = correlation_MM
    return TotalCorrelationResult(
        value=float(max(0.0, -0.5 * np.log(eigenvalues_M).sum())),
        protocol=protocol_of("total_correlation", model="Gaussian", n=len(codes_NL), codes=codes_NL.shape[1]),
        chance=len(place_M) * (len(place_M) - 1) / (4.0 * len(codes_NL)),
        correlation_LL=correlation_LL,
    )
