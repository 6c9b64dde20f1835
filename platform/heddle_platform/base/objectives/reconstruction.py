"""Reconstruction: Gaussian likelihood of the pixels, and of the image's gradients.

A plain squared error does not pay for parts of a few pixels (eyebrows, earrings); their edges are a far larger
share of all edges than their area is of all pixels, so a second Gaussian on horizontal and vertical differences
keeps them.

With a fixed sigma the images the network draws worst (turned, shifted, augmented ones) own most of the gradient.
With `sigma: fitted` each image has the sigma that fits it best (sigma-VAE, Rybkin 2021, eq. 6, per image), so that a
well drawn image is still worth sharpening.
"""

import math
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from heddle_platform.base.objectives.term import Pass, Schedule, Term

_LEAST_MSE = 2e-4


class ReconstructionConfig(BaseModel):
    """Gaussian pixel term.

    Attributes:
        sigma: standard deviation in image units, or "fitted" for each image's own best one.
        edge: weight of the gradient term beside the pixel term.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["reconstruction"] = "reconstruction"
    schedule: Schedule = Schedule()
    sigma: Annotated[float, Field(gt=0)] | Literal["fitted"] = 0.1
    edge: float = Field(default=0.5, ge=0)


def edge_energy(difference_BCHW: Tensor) -> Tensor:
    """Sum of squared horizontal and vertical first differences, [B]."""
    across = difference_BCHW[..., :, 1:] - difference_BCHW[..., :, :-1]
    down = difference_BCHW[..., 1:, :] - difference_BCHW[..., :-1, :]
    return across.square().sum(dim=(1, 2, 3)) + down.square().sum(dim=(1, 2, 3))


class Reconstruction(Term):
    """Energy |x - y|^2 + edge |grad(x - y)|^2 of an image of D numbers, as nats, mean over images.

    Fixed sigma: energy / (2 sigma^2). Fitted: D / 2 log(energy / D), against .01 so that numbers stay readable.
    Constants are left out of both.
    """

    name = "reconstruction"

    def __init__(self, config: ReconstructionConfig) -> None:
        super().__init__()
        self.config, self.schedule = config, config.schedule

    def forward(self, seen: Pass) -> Tensor:
        """Nats per image."""
        difference = seen.reconstruction - seen.images
        energy_B = torch.sum(difference.square(), dim=(1, 2, 3))
        if self.config.edge:
            energy_B = energy_B + self.config.edge * edge_energy(difference)
        if self.config.sigma == "fitted":
            values = difference[0].numel()
            # A floor, so that a plain picture drawn perfectly does not own the gradient.
            nats_B = values / 2 * (torch.log(energy_B / values + _LEAST_MSE) - math.log(0.01))
        else:
            nats_B = energy_B / (2 * self.config.sigma**2)
        return nats_B.mean()
