"""Traversal pictures: what each latent does, one row a latent, each column another value of it.

The other latents stay where one image put them, so that a row shows one latent and nothing else.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from heddle_platform import pixels

STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)
MOST_ROWS = 10

_GAP = 2

Decode = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Standardised latents [N, L] to images [N, S, S, 3] in 0..1."""


def most_active(kl_per_latent: Sequence[float], count: int = MOST_ROWS) -> list[int]:
    """The latents with the largest KL, largest first."""
    order = np.argsort(-np.asarray(kl_per_latent), kind="stable")
    return [int(index) for index in order[:count]]


def traversal_grid(
    decode: Decode,
    origin_L: NDArray[np.floating],
    latents: Sequence[int],
    strengths: Sequence[float] = STRENGTHS,
) -> NDArray[np.uint8]:
    """Draw a grid.

    Args:
        decode: the decoder, on standardised latents.
        origin_L: the latents to start from, standardised.
        latents: which to move, one row each.
        strengths: the values each takes, in standard deviations from the corpus's mean.
    Returns:
        uint8 [rows (S + 2) + 2, columns (S + 2) + 2, 3] on white.
    """
    codes = np.tile(np.asarray(origin_L, dtype=np.float32), (len(latents) * len(strengths), 1))
    for row, latent in enumerate(latents):
        codes[row * len(strengths) : (row + 1) * len(strengths), latent] = strengths
    drawn = np.clip(np.rint(decode(codes) * 255), 0, 255).astype(np.uint8)
    return tiled(drawn, columns=len(strengths))


def tiled(images_NHWC: NDArray[np.uint8], *, columns: int) -> NDArray[np.uint8]:
    """Lay images out row by row on white."""
    count, height, width, _ = images_NHWC.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), 255, dtype=np.uint8)
    for index, image in enumerate(images_NHWC):
        top = _GAP + index // columns * (height + _GAP)
        left = _GAP + index % columns * (width + _GAP)
        sheet[top : top + height, left : left + width] = image
    return sheet


def as_png(sheet_HWC: NDArray[np.uint8]) -> bytes:
    """A picture's PNG file."""
    return pixels.encode(sheet_HWC, "image/png")
