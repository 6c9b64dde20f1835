"""The linear map between two bases' latents, fitted on pictures that both have encoded.

Where a tenant's images are gone, nothing can be refitted; but two bases that see the same picture describe it in two
languages, and on public pictures (anchors) a dictionary can be learnt. It is a ridge regression with an offset, its
ridge chosen by leave-one-out in closed form (Allen 1974, PRESS): for the centred latents X = U S V', every candidate
costs one product.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from heddle_adapters.arrays import Floats, finite_matrix
from heddle_platform.errors import InvalidInput

RIDGES = (1e-12, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # times the mean squared singular value
LEAST_ANCHORS_PER_LATENT = 4


@dataclass(frozen=True, eq=False)
class LatentMap:
    """z -> z M + b, from L latents of one base to M of another.

    Attributes:
        matrix_LM, offset_M: M and b.
        ridge: the candidate of `RIDGES` that leave-one-out chose.
        left_MM: covariance over the anchors of what the map does not explain, left out one by one.
        explained: share of the target's variance that is explained, left out one by one, mean over varying latents.
    """

    matrix_LM: Floats
    offset_M: Floats
    ridge: float
    left_MM: Floats
    explained: float

    def __call__(self, latents_NL: Floats) -> Floats:
        """Return where latents [N, L] lie in the other base, [N, M]."""
        return np.asarray(latents_NL @ self.matrix_LM + self.offset_M, dtype=np.float64)


def fit_map(source_NL: Floats, target_NM: Floats, ridges: Sequence[float] = RIDGES) -> LatentMap:
    """Fit the map from one base's latents of N pictures to another base's latents of the same pictures.

    Args:
        source_NL: standardised latents of the anchors in the base that is mapped from.
        target_NM: the same anchors in the base that is mapped to.
        ridges: candidates, shares of the mean squared singular value of the centred source.

    Raises:
        InvalidInput: codes `row_count_mismatch`, `too_few_anchors`, and those of `finite_matrix`.
    """
    source_NL, target_NM = finite_matrix(source_NL, "source latents"), finite_matrix(target_NM, "target latents")
    rows, latents = source_NL.shape
    if len(target_NM) != rows:
        raise InvalidInput(
            f"there are {rows} source latents and {len(target_NM)} target latents; encode the same pictures",
            code="row_count_mismatch",
        )
    if rows < LEAST_ANCHORS_PER_LATENT * latents:
        raise InvalidInput(
            f"{rows} anchors are too few for {latents} latents, at least {LEAST_ANCHORS_PER_LATENT * latents} are "
            "needed; draw more",
            code="too_few_anchors",
        )
    with threadpool_limits(1):
        return _fit(source_NL, target_NM, ridges)


def _fit(source_NL: Floats, target_NM: Floats, ridges: Sequence[float]) -> LatentMap:
    rows = len(source_NL)
    mean_L, mean_M = source_NL.mean(axis=0), target_NM.mean(axis=0)
    left_NK, size_K, right_KL = np.linalg.svd(source_NL - mean_L, full_matrices=False)
    centred_NM = target_NM - mean_M
    turned_KM = left_NK.T @ centred_NM
    scale_M = np.maximum(centred_NM.std(axis=0), 1e-9)
    alive_M = centred_NM.std(axis=0) > 1e-6
    square_K = size_K**2

    def left_out(ridge: float) -> tuple[float, float, Floats]:
        """Return the loss of a candidate, itself, and its errors [N, M], each row's when it is left out."""
        kept_K = square_K / (square_K + ridge * float(square_K.mean()) + 1e-300)
        leverage_N = (left_NK**2 * kept_K).sum(axis=1) + 1.0 / rows  # the offset has a leverage as well
        error_NM = (centred_NM - left_NK @ (kept_K[:, None] * turned_KM)) / np.maximum(1.0 - leverage_N, 1e-6)[:, None]
        loss = float(np.square(error_NM / scale_M)[:, alive_M].mean()) if alive_M.any() else 0.0
        return loss, ridge, error_NM

    loss, ridge, error_NM = min((left_out(ridge) for ridge in ridges), key=lambda found: found[0])
    matrix_LM = right_KL.T @ ((size_K / (square_K + ridge * float(square_K.mean()) + 1e-300))[:, None] * turned_KM)
    return LatentMap(
        matrix_LM, mean_M - mean_L @ matrix_LM, ridge, error_NM.T @ error_NM / rows, max(0.0, min(1.0, 1.0 - loss))
    )
