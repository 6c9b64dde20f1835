"""Total correlation of the aggregate posterior, penalised: beta-TCVAE (Chen 2018, eq. 2 and 4).

KL of the posterior to the prior falls into three parts: what a latent tells of the image, how the latents depend on
each other (total correlation), how each one's distribution differs from the prior. beta-TCVAE pays beta for
the second alone: a recipe lists `kl` at weight 1 and this term at weight beta - 1.
"""

import math
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from heddle_platform.base.objectives.term import Pass, Schedule, Term


class TotalCorrelationConfig(BaseModel):
    """Weight of the penalty beyond the KL term's own, that is beta - 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["total_correlation"] = "total_correlation"
    schedule: Schedule = Schedule(weight=5.0)


def log_density(latents_BL: Tensor, mean_BL: Tensor, logvar_BL: Tensor) -> Tensor:
    """Log density of each image's latents under each image's posterior, [B latents, B posteriors, L], in nats."""
    distance_BBL = latents_BL[:, None] - mean_BL[None]
    return -0.5 * (distance_BBL.square() * torch.exp(-logvar_BL)[None] + logvar_BL[None] + math.log(2 * math.pi))


class TotalCorrelation(Term):
    """KL(q(z) || prod_l q(z_l)) with the batch's posteriors as the mixture that q(z) is.

    Chen's minibatch-weighted sampling divides by batch x corpus size instead of the batch's alone: another
    constant, the same gradient. This one makes the total correlation of a factorised code 0.
    """

    name = "total_correlation"

    def __init__(self, config: TotalCorrelationConfig) -> None:
        super().__init__()
        self.schedule = config.schedule

    def forward(self, seen: Pass) -> Tensor:
        """Nats per image."""
        density_BBL = log_density(seen.latents, seen.mean, seen.logvar)
        size = math.log(len(seen.mean))
        joint_B = torch.logsumexp(density_BBL.sum(dim=2), dim=1) - size
        product_B = (torch.logsumexp(density_BBL, dim=1) - size).sum(dim=1)
        return (joint_B - product_B).mean()
