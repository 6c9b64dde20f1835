"""Light augmentation: an image moved, mirrored, zoomed and recoloured at random."""

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn


class AugmentConfig(BaseModel):
    """Light augmentation; an augmented image carries no labels.

    Attributes:
        share: share of a batch that is augmented, in 0..1.
        zoom: largest relative change of size.
        shift: largest shift, as a share of the image's side.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(default=0.3, ge=0, le=1)
    zoom: float = Field(default=0.25, ge=0, lt=1)
    shift: float = Field(default=0.15, ge=0, lt=1)


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
    count, channels = images_BCHW.shape[:2]
    order = torch.rand(count, channels, generator=generator).argsort(dim=1)
    mix = nn.functional.one_hot(order, channels).float()
    grey = torch.rand(count, generator=generator) < 0.15
    mix[grey] = 1 / channels
    negative = torch.rand(count, 1, 1, 1, generator=generator) < 0.15
    gain = _uniform(count, 0.6, 1.2, generator).view(-1, 1, 1, 1)
    shift = _uniform(count, -0.15, 0.15, generator).view(-1, 1, 1, 1)
    mixed = torch.einsum("bij,bjhw->bihw", mix, images_BCHW)
    mixed = torch.where(negative, 1 - mixed, mixed)
    return ((mixed - 0.5) * gain + 0.5 + shift).clamp(0, 1)
