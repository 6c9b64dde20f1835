"""Bernoulli likelihood of the pixels, for white-on-black images: what is published on dSprites is trained with it."""

from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.autograd.function import once_differentiable

from heddle_platform.base.objectives.term import Pass, Schedule, Term

# torch's own bounds.
_LEAST_LOG, _LEAST_VARIANCE = -100.0, 1e-12


class BernoulliConfig(BaseModel):
    """Weight of the likelihood; the network's output must be a probability (`output: sigmoid`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["bernoulli"] = "bernoulli"
    schedule: Schedule = Schedule()


class _CrossEntropy(torch.autograd.Function):
    """-(x log y + (1 - x) log(1 - y)), summed, logs no less than -100, with its gradient (y - x) / (y (1 - y)).

    torch's own takes its logs one at a time: on one CPU core it is a tenth of a whole training step.
    """

    @staticmethod
    def forward(context: Any, drawn: Tensor, images: Tensor) -> Tensor:
        context.save_for_backward(drawn, images)
        lit, dark = drawn.log().clamp_(min=_LEAST_LOG), (-drawn).log1p_().clamp_(min=_LEAST_LOG)
        return -(lit.sub_(dark).mul_(images).add_(dark)).sum()

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        drawn, images = context.saved_tensors
        variance = (drawn * (1 - drawn)).clamp_(min=_LEAST_VARIANCE)
        return (drawn - images).div_(variance).mul_(gradient), None


class Bernoulli(Term):
    """Cross-entropy of pixels as coins, summed over an image, mean over images: the negative log likelihood."""

    name = "bernoulli"

    def __init__(self, config: BernoulliConfig) -> None:
        super().__init__()
        self.schedule = config.schedule

    def forward(self, seen: Pass) -> Tensor:
        """Nats per image."""
        entropy: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
            seen.reconstruction.float(), seen.images
        )
        return entropy / len(seen.images)
