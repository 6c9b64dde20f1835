"""The corpus's styles: only the allowed ones, every option drawn and labelled."""

import numpy as np
import pytest

from heddle_platform.base import palettes, rendered, styles

ALLOWED = {
    "lorelei", "open-peeps", "notionists", "micah", "adventurer", "big-ears", "miniavs", "croodles", "dylan",
    "toon-head", "thumbs", "fun-emoji", "pixel-art", "bottts",
}  # fmt: skip


def test_no_other_style_is_ever_rendered() -> None:
    assert set(styles.STYLES) == ALLOWED
    with pytest.raises(ValueError, match="'personas' is not in the corpus"):
        styles.style_spec("personas")


@pytest.mark.parametrize("name", styles.STYLES)
def test_labels_are_in_range_and_name_what_was_chosen(name: str) -> None:
    spec = styles.style_spec(name)
    factors = spec.factors()
    rng = np.random.default_rng(0)
    for _ in range(20):
        drawn = styles.draw(spec, rng)
        assert len(drawn.labels) == len(factors)
        for factor, label in zip(factors, drawn.labels, strict=True):
            assert -1 <= label < len(factor.levels)
        for part, label in zip(spec.parts, drawn.labels, strict=False):
            level = dict(zip([f.key for f in factors], [f.levels for f in factors], strict=True))[f"{name}/{part}"]
            present = drawn.options[f"{part}Probability"] == 100
            chosen = drawn.options[f"{part}Variant"][0] if present else "none"
            assert level[label] == chosen


def test_choices_are_uniform_and_independent() -> None:
    spec = styles.style_spec("dylan")
    rng = np.random.default_rng(1)
    labels = np.array([styles.draw(spec, rng).labels for _ in range(4000)])
    keys = [factor.key for factor in spec.factors()]
    hair, mood = labels[:, keys.index("dylan/hair")], labels[:, keys.index("dylan/mood")]
    counts = np.zeros((12, 7))
    np.add.at(counts, (hair, mood), 1)
    expected = 4000 / counts.size
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    # 83 degrees of freedom: mean 83, standard deviation 12.9.
    assert chi_squared < 83 + 5 * 12.9


def test_palette_colours_keep_their_label() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        color = palettes.draw("hair", rng)
        if color.level >= 0:
            entry = palettes.to_rgb(palettes.PALETTES["hair"][color.level])
            assert np.abs(palettes.to_rgb(color.hex) - entry).max() <= 10.5


def test_rendering_is_repeatable() -> None:
    images, labels = rendered.render_batch("dylan", 4, seed=5)
    again, same = rendered.render_batch("dylan", 4, seed=5)
    other, _ = rendered.render_batch("dylan", 4, seed=6)
    assert images.shape == (4, 64, 64, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, same)
    assert (images != other).any()
