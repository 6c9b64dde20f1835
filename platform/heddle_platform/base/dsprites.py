"""dSprites by its exact rule: any of the 737,280 images drawn from its five factors.

The rule was fitted to frames of the original (deepmind/dsprites-dataset, Apache-2.0): a pixel is set where its
centre lies inside the shape. The heart is a radial profile measured from those frames, shipped beside this file
(see dsprites_heart_profile.LICENSE.md).
"""

import json
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from heddle_platform.base import palettes

SIZE = 64
SHAPES = ("square", "ellipse", "heart")
FACTOR_SIZES = (3, 6, 40, 32, 32)
FACTOR_NAMES = ("shape", "scale", "orientation", "posX", "posY")

_SQUARE_SIDE = 19.2
_ELLIPSE_AXES = (12.78, 7.23)
_PLAIN_SHARE = 0.4
_POSITION_BINS = 8


@lru_cache(maxsize=1)
def _heart_profile() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    text = files("heddle_platform.base").joinpath("dsprites_heart_profile.json").read_text(encoding="utf-8")
    profile = json.loads(text)
    return np.array(profile["angle_from_up"]), np.array(profile["radius_px_at_scale_1"])


def draw(shape: int, scale: int, orientation: int, pos_x: int, pos_y: int) -> NDArray[np.bool_]:
    """Draw one dSprites image from its factor indices.

    Args:
        shape: 0 square, 1 ellipse, 2 heart.
        scale: 0..5, linspace(.5, 1, 6).
        orientation: 0..39, linspace(0, 2 pi, 40), counter-clockwise on screen; 39 equals 0.
        pos_x: 0..31, to the right.
        pos_y: 0..31, downwards.
    Returns:
        bool [64, 64], rows downwards.
    Raises:
        ValueError: an index is out of range.
    """
    indices = (shape, scale, orientation, pos_x, pos_y)
    for name, index, size in zip(FACTOR_NAMES, indices, FACTOR_SIZES, strict=True):
        if not 0 <= index < size:
            raise ValueError(f"{name} is {index}; it must lie in 0..{size - 1}")
    size_factor = 0.5 + 0.5 * scale / 5
    angle = 2 * np.pi * orientation / 39
    centres = np.arange(SIZE) + 0.5
    right = centres[None, :] - (16 + 32 * pos_x / 31)
    up = -(centres[:, None] - (16 + 32 * pos_y / 31))
    # Turning the shape counter-clockwise is turning the pixel's offset clockwise.
    x = (right * np.cos(angle) + up * np.sin(angle)) / size_factor
    y = (-right * np.sin(angle) + up * np.cos(angle)) / size_factor
    return _inside(shape, x, y)


def _inside(shape: int, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    if shape == 0:
        return np.asarray((np.abs(x) <= _SQUARE_SIDE / 2) & (np.abs(y) <= _SQUARE_SIDE / 2))
    if shape == 1:
        return np.asarray((x / _ELLIPSE_AXES[0]) ** 2 + (y / _ELLIPSE_AXES[1]) ** 2 <= 1)
    angles, radii = _heart_profile()
    from_up = np.abs(np.arctan2(x, y))
    return np.asarray(np.hypot(x, y) <= np.interp(from_up, angles, radii))


def factor_levels() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The labels `render_batch` gives: (key, level names) per column; positions are in eighths."""
    bins = tuple(str(index) for index in range(_POSITION_BINS))
    scales = tuple(f"{0.5 + 0.1 * index:.1f}" for index in range(FACTOR_SIZES[1]))
    return (
        ("dsprites/shape", SHAPES),
        ("dsprites/scale", scales),
        ("dsprites/posX", bins),
        ("dsprites/posY", bins),
        ("background_color", palettes.PALETTES["background"]),
        ("clothing_color", palettes.PALETTES["clothing"]),
    )


def render_batch(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Draw random sprites, white on black in some, coloured in the others.

    Returns:
        images uint8 [count, 64, 64, 3], labels int16 [count, 6] as in `factor_levels` (-1: unknown).
    """
    rng = np.random.default_rng([seed, 1 << 16])
    images = np.empty((count, SIZE, SIZE, 3), dtype=np.uint8)
    labels = np.full((count, len(factor_levels())), -1, dtype=np.int16)
    for index in range(count):
        factors = [int(rng.integers(size)) for size in FACTOR_SIZES]
        mask = draw(*factors)[:, :, None]
        labels[index, :2] = factors[:2]
        labels[index, 2:4] = [factors[3] * _POSITION_BINS // 32, factors[4] * _POSITION_BINS // 32]
        if rng.random() < _PLAIN_SHARE:
            images[index] = np.where(mask, 255, 0)
            continue
        paper, ink = palettes.draw("background", rng), palettes.draw("clothing", rng)
        labels[index, 4:] = [paper.level, ink.level]
        images[index] = np.where(mask, palettes.to_rgb(ink.hex), palettes.to_rgb(paper.hex)).astype(np.uint8)
    return images, labels
