"""The corpus's colours: which role a style's colour plays, and the palette that role is drawn from.

Roles are shared by all styles, so one label ("what colour is the background") supervises every style at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PALETTES: dict[str, tuple[str, ...]] = {
    "background": (
        "#b6e3f4", "#c0aede", "#ffd5dc", "#ffdfbf", "#d1f4d9", "#f4f4f0", "#fff3a8", "#b0bec5",
        "#5d7fb9", "#3f8f6b", "#d9765a", "#e8b23a", "#8a5aa8", "#2b2f3a", "#7a4a32", "#e25a8a",
    ),
    "skin": ("#ffdbb4", "#edb98a", "#d08b5b", "#ae5d29", "#614335", "#f9c9b6", "#ffffff", "#8fc98a"),
    "hair": (
        "#0e0e0e", "#4a312c", "#a55728", "#d6b370", "#c93305", "#f2f2f2", "#3d6fd6", "#8e4fd0",
        "#e86fa5", "#35a86b", "#9aa0a6", "#77311d",
    ),
    "clothing": (
        "#9287ff", "#f4d150", "#fc909f", "#6bd9e9", "#ffffff", "#77311d", "#262e33", "#e05a33",
        "#3c4fa0", "#65c987", "#b11f1f", "#a7a9ac",
    ),
    "accessory": ("#111111", "#ffffff", "#f4d150", "#c02a2a", "#2f6fd0", "#8a5a2b", "#9287ff", "#fc909f"),
    "letter": (
        "#111111", "#ffffff", "#b5202c", "#f0666c", "#2347b8", "#7fb2f0", "#1c6b3a", "#8fd08a",
        "#5f2a8f", "#d9670f", "#f5cf3c", "#0f7d7f",
    ),
    "ink": ("#000000", "#000000", "#000000", "#000000", "#000000", "#1b0b47", "#47280b", "#333333"),
}  # fmt: skip

ROLES: dict[str, str] = {
    "background": "background",
    "skin": "skin",
    "base": "skin",
    "hair": "hair",
    "headContrast": "hair",
    "top": "hair",
    "eyebrows": "hair-or-ink",
    "facialHair": "hair-or-ink",
    "clothing": "clothing",
    "clothes": "clothing",
    "shirt": "clothing",
    "body": "clothing",
    "shape": "clothing",
    "glasses": "accessory",
    "earring": "accessory",
    "earrings": "accessory",
    "hat": "accessory",
    "accessories": "accessory",
    "hairAccessories": "accessory",
    "eyepatch": "ink",
    "ink": "ink",
    "outline": "ink",
    "stroke": "ink",
    "nose": "ink",
    "freckles": "ink",
}

LABELLED_ROLES = ("background", "skin", "hair", "clothing")
"""Roles of the styles that carry a label; the rest is nuisance. Letters label theirs themselves."""

_JITTER = 10
_FREE_SHARE = 0.2


@dataclass(frozen=True)
class DrawnColor:
    """A colour as the renderer takes it, and its label (-1: off the palette)."""

    hex: str
    level: int


def to_hex(rgb: NDArray[np.float64]) -> str:
    """Three numbers in 0..255 -> "#rrggbb", clipped."""
    red, green, blue = (round(float(value)) for value in np.clip(rgb, 0, 255))
    return f"#{red:02x}{green:02x}{blue:02x}"


def to_rgb(color: str) -> NDArray[np.float64]:
    """ "#rrggbb" -> float array [3] in 0..255."""
    return np.array([int(color[start : start + 2], 16) for start in (1, 3, 5)], dtype=np.float64)


def draw(role: str, rng: np.random.Generator) -> DrawnColor:
    """Draw a colour for a role: a palette entry slightly jittered, or now and then any colour at all.

    The colours off the palette keep the base from knowing only a dozen hues; they carry no label.
    """
    palette = PALETTES[role]
    level = int(rng.integers(len(palette)))
    if role in LABELLED_ROLES and rng.random() < _FREE_SHARE:
        return DrawnColor(to_hex(rng.uniform(0, 255, 3)), -1)
    if role == "ink":
        return DrawnColor(palette[level], level)
    return DrawnColor(to_hex(to_rgb(palette[level]) + rng.uniform(-_JITTER, _JITTER, 3)), level)
