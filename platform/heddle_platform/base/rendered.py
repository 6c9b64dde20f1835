"""Rendered avatars: pictures and labels of one style, by dicebear-core and resvg; nothing is downloaded."""

import io
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from heddle_platform.base.styles import STYLES, draw, style_definition, style_spec

_FRINGES = {
    "fringe": "dannyPhantom",
    "quiff": "fonze",
    "long": "full",
    "mohawk": "mrT",
    "bob": "pixie",
    "turban": "turban",
}
_DEMO: dict[str, dict[str, str]] = {
    "skin": {"ivory": "#ffdbb4", "sand": "#edb98a", "bronze": "#c47f4b", "umber": "#99552b", "ebony": "#5f3a2b"},
    "hair": _FRINGES,
    "hair_color": {
        "black": "#1a1a1a",
        "brown": "#7a4a2a",
        "blonde": "#e8c04a",
        "red": "#c8321e",
        "white": "#f5f5f5",
        "blue": "#3d6fd6",
        "purple": "#8e4fd0",
    },
    "mouth": {
        name: name for name in ("smile", "laughing", "frown", "nervous", "pucker", "surprised")
    },
    "glasses": {"none": "", "round": "round", "square": "square"},
    "background": {
        "sky": "#a9dcf2",
        "rose": "#ffc4d0",
        "mint": "#bdeccb",
        "lemon": "#fff0a0",
        "slate": "#66748a",
        "cream": "#f6f1e7",
        "orange": "#f0883e",
    },
}  # fmt: skip
_NUISANCE_COLORS = {
    "shirt": ("#9287ff", "#f4d150", "#fc909f", "#6bd9e9", "#ffffff", "#77311d", "#262e33", "#3f8f6b"),
    "earring": ("#f4d150", "#ffffff", "#9287ff"),
}
_NUISANCE_PRESENT = {"earrings": 0.3, "facialHair": 0.15}


class LabelledSet(NamedTuple):
    """A labelled set as a tenant would upload it.

    Attributes:
        images: PNG files.
        factors: F factor names.
        levels: level names of each factor.
        labels: int16 [N, F], index into the factor's levels.
    """

    images: list[bytes]
    factors: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    labels: NDArray[np.int16]


@lru_cache(maxsize=32)
def _style(name: str) -> Any:
    from dicebear import Style

    return Style(style_definition(name))


def render_png(style: str, options: dict[str, Any], size: int) -> bytes:
    """Render one avatar as PNG of size x size pixels."""
    import resvg_py
    from dicebear import Avatar

    svg = str(Avatar(_style(style), options))
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True))


def png_to_rgb(png: bytes) -> NDArray[np.uint8]:
    """PNG bytes -> uint8 [H, W, 3], transparency over white."""
    image = Image.open(io.BytesIO(png))
    if image.mode == "RGB":
        return np.asarray(image)
    paper = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return np.asarray(Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB"))


def render_batch(style: str, count: int, seed: int, size: int = 64) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Render `count` random avatars of a style.

    Args:
        style: one of STYLES.
        count: number of images.
        seed: same seed, same images and labels.
        size: side in pixels.
    Returns:
        images uint8 [count, size, size, 3] and labels int16 [count, factors] in StyleSpec.factors order.
    """
    spec = style_spec(style)
    rng = np.random.default_rng([seed, STYLES.index(style)])
    drawn = [draw(spec, rng) for _ in range(count)]
    images = np.stack([png_to_rgb(render_png(style, each.options, size)) for each in drawn])
    return images, np.array([each.labels for each in drawn], dtype=np.int16)


def labelled_set(style: str = "micah", n: int = 1000, seed: int = 0, size: int = 128) -> LabelledSet:
    """Render a tenant's labelled set: six factors drawn uniformly and independently, the rest at random.

    The hair levels all show the hair's colour (no bald heads) and beards that hide the mouth are left out; eyes,
    eyebrows, nose, ears, clothes, their colour, earrings and stubble are nuisance.

    Args:
        style: "micah", the only style this set is written for.
        n: number of images.
        seed: same seed, same set.
        size: side in pixels; not the base's, so that resizing is real.
    Returns:
        PNG files, factors (skin, hair, hair_color, mouth, glasses, background), their levels, and labels.
    Raises:
        ValueError: another style is asked for.
    """
    if style != "micah":
        raise ValueError(f"labelled sets are drawn in style 'micah', not {style!r}")
    rng = np.random.default_rng([seed, n, 7])
    levels = tuple(tuple(names) for names in _DEMO.values())
    labels = np.stack([rng.integers(len(names), size=n) for names in levels], axis=1).astype(np.int16)
    images = [render_png(style, _demo_options(row, rng), size) for row in labels]
    return LabelledSet(images, tuple(_DEMO), levels, labels)


def _demo_options(labels_F: NDArray[np.int16], rng: np.random.Generator) -> dict[str, Any]:
    values = [list(levels.values())[level] for levels, level in zip(_DEMO.values(), labels_F, strict=True)]
    skin, hair, hair_color, mouth, glasses, background = values
    options: dict[str, Any] = {
        "seed": str(int(rng.integers(1 << 60))),
        "baseColor": [skin],
        "hairVariant": [hair],
        "hairProbability": 100,
        "hairColor": [hair_color],
        "mouthVariant": [mouth],
        "glassesVariant": [glasses or "round"],
        "glassesProbability": 100 if glasses else 0,
        "glassesColor": ["#000000"],  # as the style's own pictures have them
        "backgroundColor": [background],
        "facialHairVariant": ["scruff"],
        "eyebrowsColor": ["#000000"],
        "facialHairColor": ["#000000"],
    }
    for name, share in _NUISANCE_PRESENT.items():
        options[f"{name}Probability"] = 100 if rng.random() < share else 0
    for name, colors in _NUISANCE_COLORS.items():
        options[f"{name}Color"] = [str(rng.choice(colors))]
    return options
