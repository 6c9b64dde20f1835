"""The demo's labelled set: six factors one can see, everything else at random."""

import numpy as np
import pytest

from heddle_platform.base.rendered import labelled_set, png_to_rgb

SKY, SLATE = (0xA9, 0xDC, 0xF2), (0x66, 0x74, 0x8A)


@pytest.fixture(scope="module")
def images_and_labels() -> tuple[list[bytes], dict[str, list[str]]]:
    drawn = labelled_set("micah", n=60, seed=4)
    named = {
        factor: [levels[index] for index in drawn.labels[:, column]]
        for column, (factor, levels) in enumerate(zip(drawn.factors, drawn.levels, strict=True))
    }
    return drawn.images, named


def test_has_the_six_factors(images_and_labels: tuple[list[bytes], dict[str, list[str]]]) -> None:
    images, named = images_and_labels
    assert list(named) == ["skin", "hair", "hair_color", "mouth", "glasses", "background"]
    assert all(png_to_rgb(image).shape == (128, 128, 3) for image in images)


def test_background_label_is_the_corner_pixel(
    images_and_labels: tuple[list[bytes], dict[str, list[str]]],
) -> None:
    images, named = images_and_labels
    corners = {
        level: {
            tuple(png_to_rgb(image)[2, 2])
            for image, own in zip(images, named["background"], strict=True)
            if own == level
        }
        for level in ("sky", "slate")
    }
    assert corners == {"sky": {SKY}, "slate": {SLATE}}


def test_hair_color_is_visible_for_every_hair(
    images_and_labels: tuple[list[bytes], dict[str, list[str]]],
) -> None:
    images, named = images_and_labels
    purple = np.array([0x8E, 0x4F, 0xD0])
    seen = [
        int((np.abs(png_to_rgb(image).astype(int) - purple).max(axis=2) < 3).sum())
        for image, color in zip(images, named["hair_color"], strict=True)
        if color == "purple"
    ]
    assert len(seen) >= 3
    assert min(seen) > 128 * 128 * 0.01


def test_same_seed_same_set() -> None:
    first, second = labelled_set(n=3, seed=9), labelled_set(n=3, seed=9)
    assert first.images == second.images
    np.testing.assert_array_equal(first.labels, second.labels)
    assert labelled_set(n=3, seed=10).images != first.images


def test_other_styles_are_refused() -> None:
    with pytest.raises(ValueError, match="style 'micah', not 'dylan'"):
        labelled_set("dylan", n=1)
