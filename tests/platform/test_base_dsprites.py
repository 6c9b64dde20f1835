"""dSprites by its rule: against frames of the original, and against what geometry says."""

from pathlib import Path

import numpy as np
import pytest

from heddle_platform.base import dsprites

REAL = Path(__file__).parents[3] / "shared" / "data" / "dsprites_real320.npz"


@pytest.mark.skipif(not REAL.exists(), reason="the original's frames are not beside this checkout")
def test_draws_the_original_frames() -> None:
    with np.load(REAL) as data:
        images, factors = data["images"][..., 0] > 0, data["factors"]
    assert len(images) == 320
    for image, row in zip(images, factors, strict=True):
        drawn = dsprites.draw(*(int(value) for value in row))
        assert int((drawn != image).sum()) <= 4
        assert (drawn & image).sum() / (drawn | image).sum() > 0.9


def test_upright_square_covers_the_pixel_centres_inside_it() -> None:
    # Centre (16, 16), side 9.6: centres 11.5 .. 20.5 in both directions.
    drawn = dsprites.draw(0, 0, 0, 0, 0)
    expected = np.zeros((64, 64), dtype=bool)
    expected[12:20, 12:20] = True
    expected[11, 11:21] = expected[20, 11:21] = True
    expected[11:21, 11] = expected[11:21, 20] = True
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize("shape", range(3))
def test_a_full_turn_is_no_turn(shape: int) -> None:
    np.testing.assert_array_equal(dsprites.draw(shape, 3, 39, 7, 20), dsprites.draw(shape, 3, 0, 7, 20))


def test_position_moves_right_and_down() -> None:
    rows, columns = np.nonzero(dsprites.draw(1, 5, 0, 31, 0))
    assert columns.mean() + 0.5 == pytest.approx(48, abs=0.5)
    assert rows.mean() + 0.5 == pytest.approx(16, abs=0.5)


def test_heart_points_down() -> None:
    heart = dsprites.draw(2, 5, 0, 16, 16)
    widths = heart.sum(axis=1)[heart.any(axis=1)]
    assert widths[-1] < widths[len(widths) // 3]


def test_index_out_of_range_is_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"scale is 6; it must lie in 0\.\.5"):
        dsprites.draw(0, 6, 0, 0, 0)


def test_batch_is_labelled_and_repeatable() -> None:
    images, labels = dsprites.render_batch(40, seed=3)
    again, same = dsprites.render_batch(40, seed=3)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, same)
    sizes = [len(levels) for _, levels in dsprites.factor_levels()]
    assert (labels < np.array(sizes)).all()
    assert (labels[:, :4] >= 0).all()
    black_and_white = np.isin(images, (0, 255)).all(axis=(1, 2, 3))
    # Two fifths of 40 are plain; a coloured one is never pure black and white in both colours.
    assert 6 <= black_and_white.sum() <= 26
