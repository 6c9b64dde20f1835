"""Letters drawn from open typefaces: 26 capitals in six families, every choice kept as a label.

The families are variable fonts under the SIL Open Font License, installed as packages; nothing is downloaded. None of
them is Noto or an ancestor of it: letters in Noto are how the base is judged.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from string import ascii_uppercase

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from heddle_platform.base import palettes

SIZE = 64
LETTERS = tuple(ascii_uppercase)
WEIGHTS = {"thin": 100, "light": 300, "regular": 400, "bold": 700, "black": 900}
WIDTHS = {"extra-condensed": 62.5, "condensed": 75.0, "semi-condensed": 87.5, "normal": 100.0}
SIZES_PX = (28, 36, 44, 52)
SHIFTS_PX = (-6, 0, 6)
INK_ROLE = "letter"

_OVERSAMPLE = 4
_SEED_STREAM = 1 << 17
_LEAST_CONTRAST = 120.0


@dataclass(frozen=True)
class Family:
    """A typeface: the package that holds its files, their common name ("{}" takes "-Italic"), and its serifs."""

    name: str
    package: str
    file: str
    serif: bool


FAMILIES = (
    Family("archivo", "fontpkg_archivo", "Archivo{}[wdth,wght].ttf", False),
    Family("roboto", "fontpkg_roboto", "Roboto{}[wdth,wght].ttf", False),
    Family("source-sans", "fontpkg_source_sans_3", "SourceSans3{}[wght].ttf", False),
    Family("bitter", "fontpkg_bitter", "Bitter{}[wght].ttf", True),
    Family("literata", "fontpkg_literata", "Literata{}[opsz,wght].ttf", True),
    Family("source-serif", "fontpkg_source_serif_4", "SourceSerif4{}[opsz,wght].ttf", True),
)


def factor_levels() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The labels `render_batch` gives: (key, level names) per column; sizes and positions in px, the nearest level."""
    shifts = tuple(str(shift) for shift in SHIFTS_PX)
    return (
        ("glyphs/letter", LETTERS),
        ("glyphs/serif", ("sans", "serif")),
        ("glyphs/family", tuple(family.name for family in FAMILIES)),
        ("glyphs/weight", tuple(WEIGHTS)),
        ("glyphs/width", tuple(WIDTHS)),
        ("glyphs/italic", ("roman", "italic")),
        ("glyphs/size", tuple(str(size) for size in SIZES_PX)),
        ("glyphs/posX", shifts),
        ("glyphs/posY", shifts),
        ("glyphs/ink", palettes.PALETTES[INK_ROLE]),
        ("background_color", palettes.PALETTES["background"]),
    )


@lru_cache(maxsize=len(FAMILIES) * 2)
def _font_path(family: Family, italic: bool) -> str:
    with as_file(files(family.package) / "files" / family.file.format("-Italic" if italic else "")) as path:
        return str(path)


def _font(
    family: Family, italic: bool, size_px: float, weight: int, width: float
) -> tuple[ImageFont.FreeTypeFont, float]:
    """A font at these axes as near as the family has them, and what is left of the width as a stretch (1: none)."""
    font = ImageFont.truetype(_font_path(family, italic), size_px, layout_engine=ImageFont.Layout.BASIC)
    wanted, axes, stretch = {b"Weight": float(weight), b"Width": width}, [], width / 100
    for axis in font.get_variation_axes():
        name = axis.get("name", b"")
        value = wanted.get(name, axis["default"] or 0)
        axes.append(min(max(value, axis["minimum"] or 0), axis["maximum"] or 0))
        if name == b"Width":
            stretch = width / axes[-1]
    font.set_variation_by_axes(axes)
    return font, stretch


def draw(
    letter: str, family: Family, *, weight: int, width: float, italic: bool, size_px: float, shift: tuple[float, float]
) -> NDArray[np.float64]:
    """Draw one letter.

    Args:
        letter: one of LETTERS.
        family: one of FAMILIES.
        weight: 100..900; a family that is not drawn so thin takes its thinnest.
        width: per cent of normal, 50..100: the family's own width as far as it goes, the rest squeezed.
        italic: from the italic file.
        size_px: em size in px of the image.
        shift: of the letter's middle (half its advance, half a capital's height) to the right and down, in px.
    Returns:
        float [64, 64] in 0..1: how much of each pixel the ink covers.
    """
    font, stretch = _font(family, italic, size_px * _OVERSAMPLE, weight, width)
    # A squeezed letter is drawn at full width on a canvas wider by as much, which then shrinks to the image.
    across, down = round(SIZE * _OVERSAMPLE / stretch), SIZE * _OVERSAMPLE
    capital = font.getbbox("H", anchor="ls")[1]
    centre = ((0.5 + shift[0] / SIZE) * across, (0.5 + shift[1] / SIZE) * down - capital / 2)
    canvas = Image.new("L", (across, down), 0)
    ImageDraw.Draw(canvas).text(centre, letter, fill=255, font=font, anchor="ms")
    return np.asarray(canvas.resize((SIZE, SIZE), Image.Resampling.BOX), dtype=np.float64) / 255


def render_batch(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Draw random letters: every choice uniform and independent, but that ink is never drawn where paper hides it.

    Returns:
        images uint8 [count, 64, 64, 3], labels int16 [count, 11] as in `factor_levels` (-1: a colour off the palette).
    """
    rng = np.random.default_rng([seed, _SEED_STREAM])
    weights, widths = tuple(WEIGHTS.values()), tuple(WIDTHS.values())
    images = np.empty((count, SIZE, SIZE, 3), dtype=np.uint8)
    labels = np.empty((count, len(factor_levels())), dtype=np.int16)
    for index in range(count):
        letter, family = int(rng.integers(len(LETTERS))), int(rng.integers(len(FAMILIES)))
        weight, width, italic = int(rng.integers(len(weights))), int(rng.integers(len(widths))), int(rng.integers(2))
        size, across, down = _near(SIZES_PX, rng), _near(SHIFTS_PX, rng), _near(SHIFTS_PX, rng)
        paper, ink = _colours(rng)
        cover = draw(
            LETTERS[letter],
            FAMILIES[family],
            weight=weights[weight],
            width=widths[width],
            italic=bool(italic),
            size_px=size.value,
            shift=(across.value, down.value),
        )[:, :, None]
        images[index] = np.rint(cover * palettes.to_rgb(ink.hex) + (1 - cover) * palettes.to_rgb(paper.hex))
        serif = int(FAMILIES[family].serif)
        labels[index] = (
            letter, serif, family, weight, width, italic, size.level, across.level, down.level, ink.level, paper.level
        )  # fmt: skip
    return images, labels


@dataclass(frozen=True)
class _Near:
    level: int
    value: float


def _near(levels: tuple[int, ...], rng: np.random.Generator) -> _Near:
    """A level and a number nearer to it than to its neighbours: sizes and places between the levels exist too."""
    level, half = int(rng.integers(len(levels))), (levels[1] - levels[0]) / 2
    return _Near(level, levels[level] + float(rng.uniform(-half, half)))


def _colours(rng: np.random.Generator) -> tuple[palettes.DrawnColor, palettes.DrawnColor]:
    paper = palettes.draw("background", rng)
    while True:
        ink = palettes.draw(INK_ROLE, rng)
        if np.linalg.norm(palettes.to_rgb(ink.hex) - palettes.to_rgb(paper.hex)) >= _LEAST_CONTRAST:
            return paper, ink
