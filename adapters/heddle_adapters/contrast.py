"""Principal read directions of one factor: what must stay still for its reading to stay."""

from dataclasses import dataclass

import numpy as np

from heddle_adapters.arrays import Floats, Singles


@dataclass(frozen=True, eq=False)
class Contrast:
    """R directions in which a factor's scores vary, strongest last.

    Attributes:
        read_LR: directions, each reading with unit variance over the tenant's images.
        spread_RL: covariance of those readings with latents.
        share_R: variance of the scores along each, as a share of the largest.
    """

    read_LR: Floats
    spread_RL: Floats
    share_R: Floats


def contrast_of(read_LC: Singles, spread_CL: Singles, *, levelled: bool) -> Contrast:
    """Find the principal directions of a factor's scores.

    Args:
        read_LC: its score directions.
        spread_CL: covariance of its scores with latents.
        levelled: scores are logits: a constant added to all of them changes no reading, only contrasts matter.
    """
    centered_LC, centered_CL = read_LC.astype(np.float64), spread_CL.astype(np.float64)
    if levelled:
        centered_LC = centered_LC - centered_LC.mean(axis=1, keepdims=True)
        centered_CL = centered_CL - centered_CL.mean(axis=0, keepdims=True)
    covariance_CC = centered_CL @ centered_LC
    variance_C, rotation_CC = np.linalg.eigh((covariance_CC + covariance_CC.T) / 2)
    largest = max(float(variance_C.max()), 1e-12)
    alive_C = variance_C > 1e-7 * largest
    scale_R = np.sqrt(variance_C[alive_C])
    return Contrast(
        centered_LC @ rotation_CC[:, alive_C] / scale_R,
        (rotation_CC[:, alive_C].T @ centered_CL) / scale_R[:, None],
        variance_C[alive_C] / largest,
    )
