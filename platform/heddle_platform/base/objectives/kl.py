"""KL divergence of the posterior to a standard normal: VAE at weight 1, beta-VAE above (Higgins 2017)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from heddle_platform.base.objectives.term import Pass, Schedule, Term


class KlConfig(BaseModel):
    """The schedule's weight is beta; its warm-up is KL annealing (Bowman 2016)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["kl"] = "kl"
    schedule: Schedule = Schedule(weight=1.0, warmup=0.1)


def kl_per_latent(mean_BL: Tensor, logvar_BL: Tensor) -> Tensor:
    """KL(N(mean, exp(logvar)) || N(0, 1)) in nats, [B, L]."""
    return 0.5 * (mean_BL.square() + logvar_BL.exp() - 1 - logvar_BL)


class Kl(Term):
    """Closed-form KL, summed over latents, mean over images."""

    name = "kl"

    def __init__(self, config: KlConfig) -> None:
        super().__init__()
        self.schedule = config.schedule

    def forward(self, seen: Pass) -> Tensor:
        """Nats per image."""
        return kl_per_latent(seen.mean, seen.logvar).sum(dim=1).mean()
