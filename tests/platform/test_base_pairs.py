"""Partners differ in few factors, exactly where they are drawn; few labels stay few."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from heddle_platform.base import dsprites_exact
from heddle_platform.base.augment import AugmentConfig
from heddle_platform.base.batches import BatchSource, step_generator, to_float
from heddle_platform.base.corpus import DSPRITES_EXACT, Corpus, Factor, Part
from heddle_platform.base.dsprites import FACTOR_SIZES, draw
from heddle_platform.base.labelled import LabelsConfig, Moves, MovesConfig, labelled_rows, shifted
from heddle_platform.base.pairs import PairsConfig
from heddle_platform.errors import InvalidInput

STILL = AugmentConfig(share=0)


def sprites(count: int = 60) -> Corpus:
    images, own = dsprites_exact.render_batch(count, seed=1)
    labels = np.concatenate([np.zeros((count, 1), dtype=np.int16), own], axis=1)
    factors = (Factor("part", (DSPRITES_EXACT,)), *(Factor(*each) for each in dsprites_exact.factor_levels()))
    part = Part(DSPRITES_EXACT, images, labels)
    return Corpus(factors, (part,), (part,))


def test_exact_sprites_are_what_their_labels_say() -> None:
    images, labels = dsprites_exact.render_batch(20, seed=3)
    again, _ = dsprites_exact.render_batch(20, seed=3)
    np.testing.assert_array_equal(images, again)
    for image, row in zip(images, labels.tolist(), strict=True):
        np.testing.assert_array_equal(image[..., 0] > 0, draw(*row))
    assert [len(levels) for _, levels in dsprites_exact.factor_levels()] == list(FACTOR_SIZES)


@pytest.mark.parametrize("changed", [1, 3])
def test_drawn_partners_differ_in_few_factors_and_look_like_their_labels(changed: int) -> None:
    batch = BatchSource(sprites(), 40, STILL, channels=1, pairs=PairsConfig(changed=changed)).draw(step_generator(0, 0))
    assert batch.images.shape == (40, 1, 64, 64)
    first, second = batch.labels.chunk(2)
    counts = (first != second).sum(dim=1)
    assert set(counts.tolist()) == set(range(1, changed + 1))
    for image, row in zip(batch.images, batch.labels[:, 1:].tolist(), strict=True):
        np.testing.assert_array_equal(image[0].numpy() > 0.5, draw(*row))


def test_pairs_repeat_with_their_step_and_are_drawn_only_where_wanted() -> None:
    source = BatchSource(sprites(), 8, STILL, pairs=PairsConfig())
    first, second = (source.draw(step_generator(1, 17)) for _ in range(2))
    assert torch.equal(first.images, second.images)
    plain = BatchSource(sprites(), 8, STILL).draw(step_generator(1, 17))
    assert plain.images.shape == first.images.shape
    assert not torch.equal(plain.images, first.images)


def test_partners_are_augmented_alike() -> None:
    corpus = sprites()
    twins = BatchSource(corpus, 8, AugmentConfig(share=1), pairs=PairsConfig()).draw(step_generator(0, 3))
    plain = BatchSource(corpus, 8, STILL, pairs=PairsConfig()).draw(step_generator(0, 3))
    assert (twins.labels == -1).all()
    assert not torch.equal(twins.images, plain.images)
    # Moved and recoloured alike, an image and itself stay alike: both halves' paper has one colour.
    first, second = twins.images.chunk(2)
    torch.testing.assert_close(first[..., 0, 0], second[..., 0, 0])


def labelled_part(levels: int = 3, factors: int = 3) -> Corpus:
    """Every combination of the labels, twice, each image filled with its row's number."""
    grid = np.stack(np.meshgrid(*[np.arange(levels)] * factors), axis=-1).reshape(-1, factors).repeat(2, axis=0)
    images = np.broadcast_to(np.arange(len(grid), dtype=np.uint8)[:, None, None, None], (len(grid), 8, 8, 3))
    keys = tuple(Factor(f"f{index}", tuple("abc")) for index in range(factors))
    part = Part("own", images, grid.astype(np.int16))
    return Corpus(keys, (part,), (part,))


def test_looked_up_partners_agree_as_far_as_the_part_allows() -> None:
    corpus = labelled_part()
    batch = BatchSource(corpus, 40, STILL, pairs=PairsConfig(candidates=2000)).draw(step_generator(0, 0))
    first, second = batch.labels.chunk(2)
    # Its only twin, and never itself.
    assert torch.equal(first, second)
    rows = (batch.images[:, 0, 0, 0] * 255).round().long()
    assert (rows[:20] != rows[20:]).all()


def test_an_exact_number_of_images_is_labelled_over_all_parts() -> None:
    known = labelled_rows(LabelsConfig(images=7), [30, 70])
    assert [len(part) for part in known] == [30, 70]
    assert sum(int(part.sum()) for part in known) == 7
    assert sum(int(part.sum()) for part in labelled_rows(LabelsConfig(share=0.25), [30, 70])) == 25
    again = labelled_rows(LabelsConfig(images=7), [30, 70])
    assert all(np.array_equal(first, second) for first, second in zip(known, again, strict=True))


def test_labels_are_seen_of_labelled_images_alone_and_these_are_drawn_more_often() -> None:
    corpus = labelled_part()
    source = BatchSource(corpus, 20, STILL, labels=LabelsConfig(images=3, of_batch=0.5))
    seen: set[int] = set()
    for step in range(30):
        batch = source.draw(step_generator(0, step))
        known = (batch.labels >= 0).all(dim=1)
        assert known[10:].all()
        seen |= set((batch.images[known, 0, 0, 0] * 255).round().long().tolist())
        assert ((batch.labels >= 0).any(dim=1) == known).all()
    assert len(seen) == 3


def test_partners_of_labelled_images_stay_unlabelled() -> None:
    source = BatchSource(sprites(), 8, STILL, labels=LabelsConfig(share=1.0), pairs=PairsConfig())
    first, second = source.draw(step_generator(0, 0)).labels.chunk(2)
    assert (first >= 0).all()
    assert (second == -1).all()


@pytest.mark.parametrize("entry", [{}, {"images": 5, "share": 0.5}])
def test_a_labelled_fraction_is_said_once(entry: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="give exactly one of images and share"):
        LabelsConfig.model_validate(entry)


ACROSS, DOWN = f"{DSPRITES_EXACT}/posX", f"{DSPRITES_EXACT}/posY"
# 31 levels span 32 pixels.
EXACT = MovesConfig(across=ACROSS, down=DOWN, step=32 / 31)


def test_a_sprite_moved_by_a_whole_number_of_pixels_is_the_sprite_drawn_there() -> None:
    corpus = sprites(20)
    moves = Moves(EXACT, corpus.factors)
    images, labels = corpus.held_out[0].images, corpus.held_out[0].labels
    for image, row in zip(images, labels, strict=True):
        corner = row.copy()
        corner[4:] = 0
        start = dsprites_exact.render(corner[None, 1:])[0]
        moved, told = moves.of(start, corner, (0.999, 0.0))
        assert told.tolist() == [*row[:4].tolist(), 31, 0]
        np.testing.assert_array_equal(moved, dsprites_exact.render(told[None, 1:])[0])
        moved, told = moves.of(image, row, ((row[4] + 0.5) / 32, (row[5] + 0.5) / 32))
        np.testing.assert_array_equal(moved, image)
        np.testing.assert_array_equal(told, row)


def test_moved_sprites_are_within_a_pixel_of_where_their_labels_say() -> None:
    batch = BatchSource(sprites(), 40, STILL, channels=1, labels=LabelsConfig(images=5, of_batch=0.5, moves=EXACT))
    drawn = batch.draw(step_generator(0, 0))
    still, moved = drawn.images.chunk(2)
    assert (drawn.labels[20:] >= 0).all()
    assert len({tuple(row) for row in drawn.labels[20:, 4:].tolist()}) > 15
    assert len({tuple(row) for row in drawn.labels[20:, 1:4].tolist()}) <= 5
    off = []
    for image, row in zip(moved[:, 0].numpy(), drawn.labels[20:, 1:].tolist(), strict=True):
        centres = [np.argwhere(pixels).mean(axis=0) for pixels in (image > 0.5, draw(*row))]
        off.append(np.abs(centres[0] - centres[1]))
    # Rounding is at most half a pixel, and so is what rasters do to a centre; a level too many would be a whole one.
    assert np.max(off) < 1
    assert np.mean(off) < 0.4
    # What was drawn among all images stays where it is.
    whole = {image.tobytes() for image in sprites().held_out[0].images[..., 0]}
    assert all((image[0].numpy() * 255).round().astype(np.uint8).tobytes() in whole for image in still)


def test_the_edge_is_drawn_out_and_an_unknown_place_stays() -> None:
    image = np.arange(9, dtype=np.uint8).reshape(3, 3, 1)
    assert shifted(image, 1, 0)[..., 0].tolist() == [[0, 0, 1], [3, 3, 4], [6, 6, 7]]
    assert shifted(image, 0, -2)[..., 0].tolist() == [[6, 7, 8]] * 3
    moves = Moves(MovesConfig(across="f0", down="f1"), labelled_part().factors)
    moved, told = moves.of(image, np.array([-1, 0, 2], dtype=np.int16), (0.9, 0.4))
    assert told.tolist() == [-1, 1, 2]
    np.testing.assert_array_equal(moved, shifted(image, 0, 1))


def test_moves_repeat_with_their_step() -> None:
    source = BatchSource(sprites(), 8, STILL, labels=LabelsConfig(images=5, moves=EXACT))
    first, second = (source.draw(step_generator(1, 17)) for _ in range(2))
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.labels, second.labels)


def test_a_way_that_no_factor_tells_of_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no factor 'depth' to move along; the corpus has f0, f1, f2"):
        Moves(MovesConfig(across="depth"), labelled_part().factors)
    with pytest.raises(ValidationError, match="name a factor in across, in down or in both"):
        MovesConfig()


def test_images_come_grey_and_in_the_networks_size() -> None:
    images = np.zeros((1, 8, 8, 3), dtype=np.uint8)
    images[..., 1] = 255
    assert float(to_float(images, 1).mean()) == pytest.approx(0.587)
    assert to_float(images, 3, 4).shape == (1, 3, 4, 4)
    assert to_float(images, 1, 16).shape == (1, 1, 16, 16)
    torch.testing.assert_close(to_float(images[..., :1], 3), torch.zeros(1, 3, 8, 8))
    # A plain picture stays plain in every size.
    torch.testing.assert_close(to_float(images, 3, 5)[0, 1], torch.ones(5, 5))
