"""Batches: repeatable by step, weighted by part, augmented without labels."""

import numpy as np
import torch

from heddle_platform.base.augment import AugmentConfig, augment
from heddle_platform.base.batches import BatchSource, step_generator
from heddle_platform.base.corpus import Corpus, Factor, Part


def corpus() -> Corpus:
    rng = np.random.default_rng(0)
    parts = tuple(
        Part(
            name,
            rng.integers(0, 256, (20, 64, 64, 3), dtype=np.uint8),
            np.full((20, 1), index, dtype=np.int16),
        )
        for index, name in enumerate(("a", "b", "c"))
    )
    return Corpus((Factor("part", ("a", "b", "c")),), parts, parts)


def test_the_same_step_sees_the_same_batch() -> None:
    source = BatchSource(corpus(), 8, AugmentConfig())
    first, second = (source.draw(step_generator(1, 17)) for _ in range(2))
    other = source.draw(step_generator(1, 18))
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.labels, second.labels)
    assert not torch.equal(first.images, other.images)


def test_weights_decide_how_often_a_part_is_drawn() -> None:
    source = BatchSource(corpus(), 4000, AugmentConfig(share=0), {"a": 2.0, "b": 0.0})
    parts = source.draw(step_generator(0, 0)).labels[:, 0].numpy()
    counts = np.bincount(parts, minlength=3)
    assert counts[1] == 0
    # Two thirds of 4000, standard deviation 30.
    assert abs(counts[0] - 4000 * 2 / 3) < 150


def test_only_augmented_images_lose_their_labels() -> None:
    batch = BatchSource(corpus(), 10, AugmentConfig(share=0.3)).draw(step_generator(0, 0))
    assert (batch.labels[:3] == -1).all()
    assert (batch.labels[3:] >= 0).all()


def test_augmented_values_stay_in_range() -> None:
    images = torch.rand(32, 3, 64, 64)
    changed = augment(images, AugmentConfig(), step_generator(0, 0))
    assert changed.shape == images.shape
    assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
    assert not torch.equal(changed, images)
