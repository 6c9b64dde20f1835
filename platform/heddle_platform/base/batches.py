"""Batches: which images a step sees, which of their labels, with which partners, and how they are augmented.

Everything random is drawn from (seed, step) alone, so a resumed training sees what an uninterrupted one sees.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heddle_platform.base.augment import AugmentConfig, augment
from heddle_platform.base.config import Recipe
from heddle_platform.base.corpus import UNKNOWN, Corpus, resident_parts
from heddle_platform.base.labelled import LabelsConfig, Moves, labelled_rows
from heddle_platform.base.pairs import PairsConfig, Partners

# ITU-R BT.601, as Pillow's "L".
LUMA = (0.299, 0.587, 0.114)

_STEP_STRIDE = 1_000_003


@dataclass(frozen=True)
class Batch:
    """images float [B, C, H, W] in 0..1 and labels int64 [B, F], -1 where unknown.

    With pairs the second half holds the first half's partners, in the same order.
    """

    images: Tensor
    labels: Tensor

    def share(self, rank: int, size: int) -> "Batch":
        """Every `size`-th row from `rank` on: one process's part, as augmented and as mixed as the whole.

        Partners stay together, in halves again, where `size` divides the half.
        """
        return self if size == 1 else Batch(self.images[rank::size], self.labels[rank::size])


def step_generator(seed: int, step: int) -> torch.Generator:
    """The one source of randomness of a training step."""
    return torch.Generator().manual_seed(seed * _STEP_STRIDE + step)


def to_float(images_NHWC: NDArray[np.uint8], channels: int = 3, image_size: int | None = None) -> Tensor:
    """Images as a network takes them.

    Args:
        images_NHWC: uint8 [N, H, W, 3], or [N, H, W, 1].
        channels: 1 (grey, by luma) or 3.
        image_size: side in pixels; None leaves images as they are.
    Returns:
        float [N, channels, image_size, image_size] in 0..1.
    """
    pixels = torch.from_numpy(images_NHWC)
    if channels == 1 and pixels.shape[3] == 3:
        # One product with the weights of luma over 255: a third of the time of three channels made, weighed and summed.
        images = (pixels.float() @ (torch.tensor(LUMA) / 255)).clamp_(max=1)[:, None]
    else:
        images = pixels.permute(0, 3, 1, 2).float() / 255
    if channels == 3 and images.shape[1] == 1:
        images = images.expand(-1, 3, -1, -1)
    if image_size in (None, images.shape[-1]):
        return images
    return nn.functional.interpolate(images, size=image_size, mode="bilinear", antialias=True).clamp(0, 1)


class BatchSource:
    """Draws batches from all parts of a corpus.

    Args:
        corpus: the parts.
        batch: images per batch; even with pairs.
        augment: what happens to a share of them.
        weights: part -> how much more often one of its images is drawn; 1 where not named.
        channels, image_size: as the network takes images.
        labels: which labels may be seen; all if None.
        pairs: how partners are found; no pairs if None.
    """

    def __init__(
        self,
        corpus: Corpus,
        batch: int,
        augment: AugmentConfig,
        weights: Mapping[str, float] | None = None,
        *,
        channels: int = 3,
        image_size: int | None = None,
        labels: LabelsConfig | None = None,
        pairs: PairsConfig | None = None,
    ) -> None:
        self._streams = corpus.parts
        self._shares = torch.tensor([part.count * (weights or {}).get(part.name, 1.0) for part in corpus.parts])
        self._drawn_per_step = (self._shares / self._shares.sum() * (batch // 2 if pairs else batch)).tolist()
        self._parts = [part.at(0.0) for part in corpus.parts]
        self._batch, self._augment = batch, augment
        self._channels, self._image_size = channels, image_size
        whole = resident_parts(corpus) if labels or pairs else []
        self._known = labelled_rows(labels, [part.count for part in whole]) if labels else None
        self._labelled = [
            (part, int(row)) for part, known in enumerate(self._known or []) for row in known.nonzero()[0]
        ]
        self._of_batch = labels.of_batch if labels else 0.0
        self._moves = Moves(labels.moves, corpus.factors) if labels and labels.moves else None
        self._partners = [Partners(part, corpus.factors, pairs) for part in whole] if pairs else []

    @classmethod
    def of(cls, recipe: Recipe, corpus: Corpus) -> Self:
        """The batches a recipe asks for: in pairs only if one of its terms needs them."""
        return cls(
            corpus,
            recipe.optimiser.batch,
            recipe.augment,
            recipe.corpus.weights,
            channels=recipe.network.channels,
            image_size=recipe.network.image_size,
            labels=recipe.labels,
            pairs=recipe.pairs if recipe.needs_pairs else None,
        )

    def draw(self, generator: torch.Generator, step: int = 0) -> Batch:
        """Draw one batch; its first images (of both halves, with pairs) are the augmented ones, unlabelled.

        `step` says how far streamed parts have moved on; parts in memory are drawn from alike at every step.
        """
        self._parts = [part.at(step * rate) for part, rate in zip(self._streams, self._drawn_per_step, strict=True)]
        count = self._batch // 2 if self._partners else self._batch
        chosen = self._choose(count, generator)
        images, labels = [self._parts[part].images[row] for part, row in chosen], self._labels(chosen)
        if self._moves:
            self._move_labelled(self._moves, images, labels, generator)
        halves = [(self._floats(images), labels)]
        if self._partners:
            halves.append(self._partners_of(chosen, generator))
        changed = int(count * self._augment.share)
        state = generator.get_state()
        for half_images, half_labels in halves if changed else ():
            # Partners are changed alike: they differ in what they differed in before.
            generator.set_state(state)
            half_images[:changed] = augment(half_images[:changed], self._augment, generator)
            half_labels[:changed] = UNKNOWN
        return Batch(*(torch.cat(halved) for halved in zip(*halves, strict=True)))

    def _choose(self, count: int, generator: torch.Generator) -> list[tuple[int, int]]:
        """(part, row) of each image; with few labels the last ones are labelled images."""
        parts = torch.multinomial(self._shares, count, replacement=True, generator=generator)
        places = torch.rand(count, generator=generator, dtype=torch.float64)
        chosen = [
            (part, int(place * len(self._parts[part].images)))
            for part, place in zip(parts.tolist(), places.tolist(), strict=True)
        ]
        again = int(count * self._of_batch)
        if again:
            picks = torch.randint(len(self._labelled), (again,), generator=generator)
            chosen[count - again :] = [self._labelled[pick] for pick in picks.tolist()]
        return chosen

    def _move_labelled(
        self, moves: Moves, images: list[NDArray[np.uint8]], labels_BF: Tensor, generator: torch.Generator
    ) -> None:
        """Move the images that were drawn for their labels, in place; those drawn among all stay as they are."""
        count = len(images)
        first = count - int(count * self._of_batch)
        places = torch.rand(count - first, 2, generator=generator).tolist()
        for index, place in zip(range(first, count), places, strict=True):
            images[index], moved_F = moves.of(images[index], labels_BF[index].numpy(), place)
            labels_BF[index] = torch.from_numpy(moved_F)

    def _floats(self, images: list[NDArray[np.uint8]]) -> Tensor:
        return to_float(np.stack(images), self._channels, self._image_size)

    def _labels(self, chosen: list[tuple[int, int]]) -> Tensor:
        labels_BF = np.stack([self._parts[part].labels[row] for part, row in chosen]).astype(np.int64)
        if self._known is not None:
            labels_BF[[not self._known[part][row] for part, row in chosen]] = UNKNOWN
        return torch.from_numpy(labels_BF)

    def _partners_of(self, chosen: list[tuple[int, int]], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        found = [self._partners[part].of(row, generator) for part, row in chosen]
        labels = torch.from_numpy(np.stack([labels_F for _, labels_F in found]).astype(np.int64))
        if self._known is not None:
            # A partner's labels are not among those that may be seen.
            labels[:] = UNKNOWN
        return self._floats([image for image, _ in found]), labels
