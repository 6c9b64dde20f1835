"""Reconstruction: Gaussian likelihood of the pixels, and of the image's gradients.

A plain squared error does not pay for parts of a few pixels (eyebrows, earrings); their edges are a far larger
share of all edges than their area is of all pixels, so a second Gaussian on horizontal and vertical differences
keeps them.

With a fixed sigma the images the network draws worst (turned, shifted, augmented ones) own most of the gradient.
With `sigma: fitted` each image has the sigma that fits it best (sigma-VAE, Rybkin 2021, eq. 6, per image), so that a
well drawn image is still worth sharpening.
"""

import math
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.autograd.function import once_differentiable

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


class _Energy(torch.autograd.Function):
    """|d|^2 + edge |grad d|^2 of each image, with its gradient 2 (d + edge grad' grad d) written out.

    Left to autograd every slice and square of the sum above is a pass of its own over all pixels, there and back.
    """

    @staticmethod
    def forward(context: Any, difference_BCHW: Tensor, edge: float) -> Tensor:
        context.save_for_backward(difference_BCHW)
        context.edge = edge
        energy_B = difference_BCHW.square().sum(dim=(1, 2, 3))
        return energy_B + edge * edge_energy(difference_BCHW) if edge else energy_B

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient_B: Tensor) -> tuple[Tensor, None]:
        (difference_BCHW,) = context.saved_tensors
        scale_B111 = 2 * gradient_B.view(-1, 1, 1, 1)
        if not context.edge:
            return difference_BCHW * scale_B111, None
        pull_BCHW = difference_BCHW.clone()
        for dim in (-2, -1):
            size = difference_BCHW.shape[dim] - 1
            step = difference_BCHW.narrow(dim, 1, size) - difference_BCHW.narrow(dim, 0, size)
            pull_BCHW.narrow(dim, 1, size).add_(step, alpha=context.edge)
            pull_BCHW.narrow(dim, 0, size).sub_(step, alpha=context.edge)
        return pull_BCHW.mul_(scale_B111), None


def energy(difference_BCHW: Tensor, edge: float) -> Tensor:
    """|d|^2 + `edge` times `edge_energy`, [B]; differentiable once."""
    found: Tensor = _Energy.apply(difference_BCHW, edge)  # type: ignore[no-untyped-call]
    return found


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
        energy_B = energy(difference, self.config.edge)
        if self.config.sigma == "fitted":
            values = difference[0].numel()
            # A floor, so that a plain picture drawn perfectly does not own the gradient.
            nats_B = values / 2 * (torch.log(energy_B / values + _LEAST_MSE) - math.log(0.01))
        else:
            nats_B = energy_B / (2 * self.config.sigma**2)
        return nats_B.mean()
