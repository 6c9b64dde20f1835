"""Weak supervision by pairs: Ada-GVAE (Locatello 2020, section 4.2).

Images come in pairs that differ in few factors. The latents whose posteriors differ least are taken as shared, and
the partners' posteriors are averaged there; what may differ between partners must then live in the other latents.
The averaged posteriors are what is sampled, decoded and paid for by every other term of the recipe.
"""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from heddle_platform.base.objectives.term import Pass, Schedule, Term


class AdaConfig(BaseModel):
    """The schedule's weight, in 0..1, is how far shared latents move to their average: 0 is the VAE, 1 Ada-GVAE.

    Attributes:
        differing: latents in which partners differ, where it is known, as with `pairs.changed: 1`: the others are
            shared. None: a threshold adapts to each pair.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["ada"] = "ada"
    schedule: Schedule = Schedule()
    differing: int | None = Field(default=None, ge=1)


def shared_latents(mean_BL: Tensor, logvar_BL: Tensor, differing: int | None = None) -> Tensor:
    """Which latents the partners of each pair share, bool [B / 2, L].

    A latent is shared if its KL divergence between the partners lies below the middle of the pair's least and
    largest (eq. 6), or, where the number of differing ones is known, if it is none of that many largest.
    """
    mean_PL, other_mean_PL = mean_BL.chunk(2)
    logvar_PL, other_logvar_PL = logvar_BL.chunk(2)
    distance_PL = (mean_PL - other_mean_PL).square()
    kl_PL = 0.5 * (
        (logvar_PL - other_logvar_PL).exp()
        + distance_PL * torch.exp(-other_logvar_PL)
        - 1
        + (other_logvar_PL - logvar_PL)
    )
    if differing is not None:
        largest = kl_PL.topk(min(differing, kl_PL.shape[1]), dim=1).indices
        return torch.ones_like(kl_PL, dtype=torch.bool).scatter_(1, largest, False)
    middle_P1 = 0.5 * (kl_PL.amax(dim=1, keepdim=True) + kl_PL.amin(dim=1, keepdim=True))
    return kl_PL < middle_P1


class Ada(Term):
    """Averages posteriors; its value only tells how many latents are shared and has no gradient."""

    name = "ada"

    def __init__(self, config: AdaConfig) -> None:
        super().__init__()
        self.config, self.schedule = config, config.schedule

    def posterior(self, mean_BL: Tensor, logvar_BL: Tensor, weight: float) -> tuple[Tensor, Tensor]:
        """Move shared latents of partners to the average of their means and variances."""
        with torch.no_grad():
            share_PL = min(weight, 1.0) * shared_latents(mean_BL, logvar_BL, self.config.differing)
        share_BL = torch.cat([share_PL, share_PL])
        variance_BL = logvar_BL.exp()
        moved_BL = torch.lerp(variance_BL, _average(variance_BL), share_BL)
        return torch.lerp(mean_BL, _average(mean_BL), share_BL), moved_BL.log()

    def forward(self, seen: Pass) -> Tensor:
        """Latents whose posteriors are the same in both partners, mean over pairs."""
        first_PL, second_PL = seen.mean.detach().chunk(2)
        return (first_PL == second_PL).sum(dim=1).float().mean()


def _average(values_BL: Tensor) -> Tensor:
    first_PL, second_PL = values_BL.chunk(2)
    average_PL = 0.5 * (first_PL + second_PL)
    return torch.cat([average_PL, average_PL])
