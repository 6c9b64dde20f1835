"""Against blur: absolute differences of Laplacian pyramids (Ling & Okada 2006; Bojanowski 2018, Lap-1).

A squared error is content with the mean of all images that might be, which is soft. Absolute differences of band-pass
images are not: an edge in the wrong place costs no more than one that is missing twice, so edges are drawn. The
pyramid's filters are fixed; nothing is downloaded.
"""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from heddle_platform.base.objectives.term import Pass, Schedule, Term

# Burt & Adelson 1983, a = .375: binomial.
_BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)


class PerceptualConfig(BaseModel):
    """Weight and depth.

    Attributes:
        levels: band-pass images, each half as large as the one before; what is left at the end counts as one more.
        sigma: the absolute difference of a pixel that costs one nat (the scale of a Laplace likelihood).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["perceptual"] = "perceptual"
    schedule: Schedule = Schedule()
    levels: int = Field(default=3, ge=1, le=5)
    sigma: float = Field(default=0.1, gt=0)


def _blurred(images_BCHW: Tensor, kernel: Tensor) -> Tensor:
    channels = images_BCHW.shape[1]
    padded = nn.functional.pad(images_BCHW, (2, 2, 2, 2), mode="replicate")
    return nn.functional.conv2d(padded, kernel.expand(channels, 1, 5, 5), groups=channels)


def laplacian_pyramid(images_BCHW: Tensor, levels: int) -> list[Tensor]:
    """Split images into `levels` band-pass images, finest first, and the blurred rest.

    A band is an image less its blurred self; blurred, it goes on at half the size.
    """
    row = torch.tensor(_BINOMIAL, device=images_BCHW.device) / sum(_BINOMIAL)
    kernel = torch.outer(row, row)
    bands = []
    rest = images_BCHW
    for _ in range(levels):
        soft = _blurred(rest, kernel)
        bands.append(rest - soft)
        rest = soft[..., ::2, ::2]
    return [*bands, rest]


class Perceptual(Term):
    """Sum over levels of absolute differences, each level weighed as many times as its pixel is larger (Lap-1: 4^j)."""

    name = "perceptual"

    def __init__(self, config: PerceptualConfig) -> None:
        super().__init__()
        self.config, self.schedule = config, config.schedule

    def forward(self, seen: Pass) -> Tensor:
        """Nats per image, up to the constant of a Laplace likelihood."""
        # The pyramid is linear: that of the difference is the difference of both.
        bands = laplacian_pyramid(seen.reconstruction.float() - seen.images, self.config.levels)
        costs = [4**level * band.abs().sum() for level, band in enumerate(bands)]
        return torch.stack(costs).sum() / (self.config.sigma * len(seen.images))
