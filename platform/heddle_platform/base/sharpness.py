"""Blur as a number: how much of the images' edge is left in their reconstructions."""

import numpy as np
from numpy.typing import NDArray


def edge_energy(images_NHWC: NDArray[np.floating]) -> float:
    """Sum of squared horizontal and vertical first differences over all images."""
    across = np.diff(images_NHWC, axis=2)
    down = np.diff(images_NHWC, axis=1)
    return float(np.square(across, dtype=np.float64).sum() + np.square(down, dtype=np.float64).sum())


def edge_share(drawn_NHWC: NDArray[np.floating], images_NHWC: NDArray[np.floating]) -> float:
    """Edge energy of reconstructions over that of the images; 1 is as sharp, 0 flat, above 1 noisy.

    Images without any edge count as drawn sharply.
    """
    return energy_share(edge_energy(drawn_NHWC), edge_energy(images_NHWC))


def energy_share(drawn: float, wanted: float) -> float:
    """The same, of energies."""
    return drawn / wanted if wanted > 0 else 1.0
