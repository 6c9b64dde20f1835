"""Sums for the drift monitor: latents of a few images in, numbers that add up out."""

import numpy as np

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Floats, Singles
from heddle_adapters.read import scores_of, values_of
from heddle_platform.drift import DriftSums
from heddle_platform.factors import LevelledFactor


def drift_sums(adapter: Adapter, latents_BL: Singles) -> DriftSums:
    """Sum what `drift.measure` needs of B images.

    tr(S S) is estimated as (B - 1)^2 / ((B - 2) (B + 1)) (|S|^2 - tr(S)^2 / (B - 1)), unbiased for normal rows (Bai
    and Saranadasa 1996): together with tr(S) it says how many directions the images really vary in.

    Args:
        adapter: the version that edits them.
        latents_BL: standardised latents of the images that came in, B at least 3.

    Raises:
        InvalidInput: codes `wrong_shape`, `latent_mismatch`, `not_finite`.
    """
    values_BF = values_of(adapter, scores_of(adapter, latents_BL))
    whitened_BL: Floats = ((latents_BL - adapter.mean_L) @ adapter.whiten_LL)[:, adapter.live_L].astype(np.float64)
    square_B = np.einsum("bl,bl->b", whitened_BL, whitened_BL)
    images = len(whitened_BL)
    total_L = whitened_BL.sum(axis=0)
    centred_BL = whitened_BL - total_L / images
    inner_BB = centred_BL @ centred_BL.T / (images - 1)  # has the eigenvalues of S, and is smaller
    trace, norm = float(np.trace(inner_BB)), float(np.square(inner_BB).sum())
    square_trace = (images - 1) ** 2 / ((images - 2) * (images + 1)) * (norm - trace**2 / (images - 1))
    counts = [
        np.bincount(values_BF[:, index].astype(np.intp), minlength=len(factor.level_names))
        for index, factor in enumerate(adapter.factor_set.factors)
        if isinstance(factor, LevelledFactor)
    ]
    return DriftSums(
        images=images,
        outside=int((square_B > adapter.radius**2).sum()),
        square=float(square_B.sum()),
        freedom=images - 1,
        trace=(images - 1) * trace,
        square_trace=(images - 1) * square_trace,
        total=tuple(total_L.tolist()),
        levels=tuple(int(count) for per_level in counts for count in per_level),
    )
