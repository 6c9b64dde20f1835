"""dSprites as published: white on black, labelled with all five of its factors at full resolution.

The part "dsprites" of a corpus is coloured and labelled in a base's own terms; this part, "dsprites-exact", is what
disentanglement is measured on.
"""

import numpy as np
from numpy.typing import NDArray

from heddle_platform.base.dsprites import FACTOR_NAMES, FACTOR_SIZES, SHAPES, SIZE, draw


def factor_levels() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The labels `render_batch` gives: (key, level names) per column, the five factors in dSprites' own order."""
    names = (SHAPES, *(tuple(map(str, range(size))) for size in FACTOR_SIZES[1:]))
    return tuple((f"dsprites-exact/{key}", levels) for key, levels in zip(FACTOR_NAMES, names, strict=True))


def render(factors_NF: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Draw the images of given factor indices [N, 5], uint8 [N, 64, 64, 3].

    Raises:
        ValueError: an index is out of range.
    """
    images = np.empty((len(factors_NF), SIZE, SIZE, 3), dtype=np.uint8)
    for image, row in zip(images, factors_NF.tolist(), strict=True):
        image[:] = draw(*row)[:, :, None] * np.uint8(255)
    return images


def render_batch(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Draw random sprites, every factor uniform and independent.

    Returns:
        images uint8 [count, 64, 64, 3], labels int16 [count, 5] as in `factor_levels`.
    """
    rng = np.random.default_rng([seed, 1 << 17])
    labels = np.stack([rng.integers(size, size=count) for size in FACTOR_SIZES], axis=1)
    return render(labels), labels.astype(np.int16)
