"""KL divergence of the posterior to a standard normal: VAE at weight 1, beta-VAE above (Higgins 2017).

Two ways to keep latents alive while it rises: free bits (Kingma 2016) and a growing capacity (Burgess 2018).
"""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from heddle_platform.base.objectives.term import Pass, Schedule, Term


class Capacity(BaseModel):
    """How many nats an image may cost, and when.

    Attributes:
        nats: capacity at the end of the rise, at least 0.
        rise: share of the training over which it grows linearly from 0, in 0..1; 0 is all of it at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    nats: float = Field(ge=0)
    rise: float = Field(default=0.5, ge=0, le=1)

    def at(self, progress: float) -> float:
        """The capacity in nats once a share `progress` of the training is done."""
        return self.nats if self.rise == 0 else self.nats * min(1.0, progress / self.rise)


class KlConfig(BaseModel):
    """The schedule's weight is beta (gamma where there is a capacity); its warm-up is KL annealing (Bowman 2016).

    Attributes:
        free_nats: nats of each latent, averaged over the batch, that cost nothing (Kingma 2016, eq. 15).
        capacity: pay |KL - C(t)| instead of KL (Burgess 2018, eq. 8).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["kl"] = "kl"
    schedule: Schedule = Schedule(weight=1.0, warmup=0.1)
    free_nats: float = Field(default=0.0, ge=0)
    capacity: Capacity | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "KlConfig":
        if self.free_nats and self.capacity:
            raise ValueError("give free_nats or capacity, not both: each says what may be had for nothing")
        return self


def kl_per_latent(mean_BL: Tensor, logvar_BL: Tensor) -> Tensor:
    """KL(N(mean, exp(logvar)) || N(0, 1)) in nats, [B, L]."""
    return 0.5 * (mean_BL.square() + logvar_BL.exp() - 1 - logvar_BL)


class Kl(Term):
    """Closed-form KL, summed over latents, mean over images."""

    name = "kl"

    def __init__(self, config: KlConfig) -> None:
        super().__init__()
        self.config, self.schedule = config, config.schedule

    def forward(self, seen: Pass) -> Tensor:
        """Nats per image; with a capacity, how far they are from it."""
        kl_BL = kl_per_latent(seen.mean, seen.logvar)
        if self.config.capacity is not None:
            return torch.abs(kl_BL.sum(dim=1).mean() - self.config.capacity.at(seen.progress))
        if self.config.free_nats:
            return kl_BL.mean(dim=0).clamp(min=self.config.free_nats).sum()
        return kl_BL.sum(dim=1).mean()
