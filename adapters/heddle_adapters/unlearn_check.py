"""Proof by two roads: statistics less the rows that went, held against a solve of the rows that stay."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats
from heddle_adapters.one_thread import one_thread
from heddle_adapters.solution import solve
from heddle_adapters.solve import RESIDUAL_SHARE
from heddle_adapters.statistics import Statistics
from heddle_adapters.unlearn import closed_form
from heddle_adapters.weights import relative_weights

_ENCODING = ("effects_PL", "residual_LL", "covariance_LL", "design_PP", "cross_PL", "mean_L", "center_P")


def refit_difference(
    left: Statistics,
    latents_NL: Floats,
    values_NF: Floats,
    pool_ML: Floats | None,
    residual_share: float = RESIDUAL_SHARE,
    *,
    weight_N: Floats | None = None,
) -> float:
    """Return how far the closed form of statistics lies from that of the rows they are said to be of.

    Args:
        left: statistics after `unlearn`.
        latents_NL, values_NF, pool_ML: the rows that stay, as `fit_adapter` takes them.
        residual_share: what the adapter's fit chose, see `Adapter.residual_share`.
        weight_N: weights of the rows that stay, as `fit_adapter` takes them.

    Returns:
        The largest difference of any entry of the read, the write's effects and the covariances in float64, relative
        to the largest entry of its matrix where that is above 1.
    """
    with one_thread():
        form = closed_form(left, residual_share)
        live_L = form.live_L
        refit = solve(
            latents_NL[:, live_L],
            values_NF,
            form.codings,
            ridge=left.ridge,
            pool_ML=None if pool_ML is None or not len(pool_ML) else pool_ML[:, live_L],
            share=residual_share,
            weight_N=relative_weights(weight_N, len(latents_NL)),
        )
        pairs = [(form.read_LC, refit.read[0]), (form.read_bias_C, refit.read[1])]
        pairs += [(getattr(form.encoding, name), getattr(refit.encoding, name)) for name in _ENCODING]
    return max(_largest(found, expected) for found, expected in pairs)


def _largest(found: NDArray[Any], expected: NDArray[Any]) -> float:
    return float(np.abs(found - expected).max() / max(1.0, float(np.abs(expected).max())))
