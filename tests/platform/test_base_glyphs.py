"""Letters: drawn as asked, labelled as drawn, and never in the typefaces the base is judged on."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from heddle_platform.base import glyphs, palettes

ARCHIVO, ROBOTO, SOURCE_SANS, BITTER, LITERATA, SOURCE_SERIF = glyphs.FAMILIES


def _draw(
    letter: str = "H",
    family: glyphs.Family = ROBOTO,
    *,
    weight: int = 400,
    width: float = 100.0,
    italic: bool = False,
    size_px: float = 44.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.float64]:
    return glyphs.draw(letter, family, weight=weight, width=width, italic=italic, size_px=size_px, shift=shift)


def _middle(cover: NDArray[np.float64]) -> tuple[float, float]:
    centres = np.arange(glyphs.SIZE) + 0.5
    return float((cover.sum(0) * centres).sum() / cover.sum()), float((cover.sum(1) * centres).sum() / cover.sum())


def _breadth(cover: NDArray[np.float64]) -> float:
    """Standard deviation of the ink's columns, in px: moves with width far more finely than whole pixels do."""
    centres = np.arange(glyphs.SIZE) + 0.5
    share = cover.sum(0) / cover.sum()
    return float(np.sqrt((share * (centres - (share * centres).sum()) ** 2).sum()))


def _height(cover: NDArray[np.float64]) -> float:
    return float(np.ptp(np.nonzero(cover.max(axis=1) > 0.5)[0])) + 1


@pytest.mark.parametrize("family", glyphs.FAMILIES, ids=lambda family: family.name)
def test_a_symmetric_letter_stands_in_the_middle_and_moves_as_asked(family: glyphs.Family) -> None:
    across, down = _middle(_draw(family=family))
    assert across == pytest.approx(32, abs=0.6)
    assert down == pytest.approx(32, abs=0.6)
    moved = _middle(_draw(family=family, shift=(5.0, -3.0)))
    assert moved == pytest.approx((across + 5, down - 3), abs=0.15)


@pytest.mark.parametrize("family", glyphs.FAMILIES, ids=lambda family: family.name)
def test_ink_grows_with_weight_and_height_with_size(family: glyphs.Family) -> None:
    ink = [_draw(family=family, weight=weight).sum() for weight in glyphs.WEIGHTS.values()]
    assert all(heavier > lighter for lighter, heavier in pairwise(ink))
    heights = [_height(_draw(family=family, size_px=size)) for size in glyphs.SIZES_PX]
    assert heights[-1] / heights[0] == pytest.approx(52 / 28, rel=0.08)


@pytest.mark.parametrize("family", glyphs.FAMILIES, ids=lambda family: family.name)
def test_every_family_gets_narrower_whether_its_designer_drew_it_so_or_not(family: glyphs.Family) -> None:
    ratio = _breadth(_draw(family=family, width=62.5)) / _breadth(_draw(family=family))
    # A squeeze keeps exactly 62.5 %; a designer's condensed capitals keep a little more of their breadth, or less.
    assert ratio == pytest.approx(0.625, abs=0.15 if family in (ARCHIVO, ROBOTO) else 0.01)
    heights = [_height(_draw(family=family, width=width)) for width in glyphs.WIDTHS.values()]
    assert max(heights) - min(heights) <= 1


def test_italic_is_another_drawing_and_serifs_are_there() -> None:
    for family in glyphs.FAMILIES:
        assert np.abs(_draw("E", family, italic=True) - _draw("E", family)).mean() > 0.02
    # The foot of a serif I is broader than its stem; a sans I has none.
    for family in glyphs.FAMILIES:
        cover = _draw("I", family)
        rows = np.nonzero(cover.max(axis=1) > 0.5)[0]
        foot, stem = cover[rows[-2]].sum(), cover[rows[len(rows) // 2]].sum()
        assert (foot > 1.5 * stem) == family.serif


def test_batch_is_labelled_and_repeatable() -> None:
    images, labels = glyphs.render_batch(300, seed=5)
    again, same = glyphs.render_batch(300, seed=5)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, same)
    assert images.shape == (300, 64, 64, 3)
    others, _ = glyphs.render_batch(300, seed=6)
    assert (others != images).any()
    keys = [key for key, _ in glyphs.factor_levels()]
    sizes = np.array([len(levels) for _, levels in glyphs.factor_levels()])
    assert (labels < sizes).all()
    assert (labels[:, : keys.index("glyphs/ink")] >= 0).all()
    # Every level of every factor turns up: 300 draws miss one of 26 letters with a chance of 2e-4.
    for column, size in enumerate(sizes):
        assert len(set(labels[:, column].tolist()) - {-1}) == size
    serif = np.array([family.serif for family in glyphs.FAMILIES])[labels[:, keys.index("glyphs/family")]]
    np.testing.assert_array_equal(labels[:, keys.index("glyphs/serif")], serif)


def test_corners_are_paper_and_its_label_names_it() -> None:
    images, labels = glyphs.render_batch(200, seed=1)
    known = labels[:, -1] >= 0
    assert 0.7 < known.mean() < 0.9
    named = np.stack([palettes.to_rgb(palettes.PALETTES["background"][level]) for level in labels[known, -1]])
    # The margin holds the letter's tail now and then, never most of it; the palette's jitter is at most 10.
    paper = np.median(images[known][:, 0], axis=1)
    assert (np.abs(paper - named).max(axis=1) <= 11).mean() > 0.97


def test_no_typeface_of_the_judging_set() -> None:
    # Open Sans is Noto Sans's ancestor.
    for family in glyphs.FAMILIES:
        assert not any(name in family.package for name in ("noto", "open_sans", "droid"))
