"""Bernoulli likelihood of the pixels, for white-on-black images: what is published on dSprites is trained with it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from heddle_platform.base.objectives.term import Pass, Schedule, Term


class BernoulliConfig(BaseModel):
    """Weight of the likelihood; the network's output must be a probability (`output: sigmoid`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["bernoulli"] = "bernoulli"
    schedule: Schedule = Schedule()


class Bernoulli(Term):
    """Cross-entropy of pixels as coins, summed over an image, mean over images: the negative log likelihood."""

    name = "bernoulli"

    def __init__(self, config: BernoulliConfig) -> None:
        super().__init__()
        self.schedule = config.schedule

    def forward(self, seen: Pass) -> Tensor:
        """Nats per image."""
        entropy = nn.functional.binary_cross_entropy(seen.reconstruction.float(), seen.images, reduction="sum")
        return entropy / len(seen.images)
