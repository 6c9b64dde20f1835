"""Batches: which images a step sees, and their augmentation.

Everything random is drawn from (seed, step) alone, so a resumed training sees what an uninterrupted one sees.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heddle_platform.base.config import AugmentConfig
from heddle_platform.base.corpus import UNKNOWN, Corpus

_STEP_STRIDE = 1_000_003


@dataclass(frozen=True)
class Batch:
    """images float [B, 3, H, W] in 0..1 and labels int64 [B, F], -1 where unknown."""

    images: Tensor
    labels: Tensor

    def share(self, rank: int, size: int) -> "Batch":
        """Every `size`-th row from `rank` on: one process's part, as augmented and as mixed as the whole."""
        return self if size == 1 else Batch(self.images[rank::size], self.labels[rank::size])


def step_generator(seed: int, step: int) -> torch.Generator:
    """The one source of randomness of a training step."""
    return torch.Generator().manual_seed(seed * _STEP_STRIDE + step)


def to_float(images_NHWC: NDArray[np.uint8]) -> Tensor:
    """uint8 [N, H, W, 3] -> float [N, 3, H, W] in 0..1."""
    return torch.from_numpy(images_NHWC).permute(0, 3, 1, 2).float() / 255


class BatchSource:
    """Draws batches from all parts of a corpus.

    Args:
        corpus: the parts.
        batch: images per batch.
        augment: what happens to a share of them.
        weights: part -> how much more often one of its images is drawn; 1 where not named.
    """

    def __init__(
        self, corpus: Corpus, batch: int, augment: AugmentConfig, weights: Mapping[str, float] | None = None
    ) -> None:
        self._parts = corpus.parts
        self._shares = torch.tensor([len(part.images) * (weights or {}).get(part.name, 1.0) for part in corpus.parts])
        self._batch, self._augment = batch, augment

    def draw(self, generator: torch.Generator) -> Batch:
        """Draw one batch; its first images are the augmented ones, unlabelled."""
        parts = torch.multinomial(self._shares, self._batch, replacement=True, generator=generator)
        places = torch.rand(self._batch, generator=generator, dtype=torch.float64)
        chosen = [
            (self._parts[part], int(place * len(self._parts[part].images)))
            for part, place in zip(parts.tolist(), places.tolist(), strict=True)
        ]
        images = to_float(np.stack([part.images[row] for part, row in chosen]))
        labels = torch.from_numpy(np.stack([part.labels[row] for part, row in chosen]).astype(np.int64))
        count = int(self._batch * self._augment.share)
        if count:
            images[:count] = augment(images[:count], self._augment, generator)
            labels[:count] = UNKNOWN
        return Batch(images, labels)


def augment(images_BCHW: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Recolour, mirror, zoom and shift at random; values stay in 0..1."""
    return _recolour(_move(images_BCHW, config, generator), generator)


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)


def _move(images_BCHW: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    count = len(images_BCHW)
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    zoom = torch.exp(_uniform(count, -config.zoom, config.zoom, generator))
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = mirror * zoom, zoom
    theta[:, :, 2] = 2 * torch.stack([_uniform(count, -config.shift, config.shift, generator) for _ in "xy"], 1)
    grid = nn.functional.affine_grid(theta, list(images_BCHW.shape), align_corners=False)
    return nn.functional.grid_sample(images_BCHW, grid, padding_mode="border", align_corners=False)


def _recolour(images_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    count = len(images_BCHW)
    order = torch.rand(count, 3, generator=generator).argsort(dim=1)
    mix = nn.functional.one_hot(order, 3).float()
    grey = torch.rand(count, generator=generator) < 0.15
    mix[grey] = 1 / 3
    negative = torch.rand(count, 1, 1, 1, generator=generator) < 0.15
    gain = _uniform(count, 0.6, 1.2, generator).view(-1, 1, 1, 1)
    shift = _uniform(count, -0.15, 0.15, generator).view(-1, 1, 1, 1)
    mixed = torch.einsum("bij,bjhw->bihw", mix, images_BCHW)
    mixed = torch.where(negative, 1 - mixed, mixed)
    return ((mixed - 0.5) * gain + 0.5 + shift).clamp(0, 1)
