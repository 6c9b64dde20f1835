"""Total correlation by a critic: FactorVAE (Kim & Mnih 2018, eq. 2 and algorithm 2).

A critic learns to tell latents from latents whose entries were shuffled across the batch, one latent at a time; its
log-odds estimate the log density ratio of q(z) to the product of its marginals.
"""

from itertools import pairwise
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.func import functional_call

from heddle_platform.base.objectives.term import Pass, Schedule, Term


class CriticConfig(BaseModel):
    """Weight (FactorVAE's gamma) and the critic's size.

    Attributes:
        width: values of each hidden layer.
        layers: hidden layers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["critic"] = "critic"
    schedule: Schedule = Schedule(weight=10.0)
    width: int = Field(default=256, ge=1)
    layers: int = Field(default=3, ge=1)


def shuffled(latents_BL: Tensor, generator: torch.Generator) -> Tensor:
    """Shuffle each latent across the batch on its own: a sample of the product of marginals, [B, L]."""
    order_BL = torch.rand(latents_BL.shape, generator=generator).argsort(dim=0).to(latents_BL.device)
    return latents_BL.gather(0, order_BL)


class Critic(Term):
    """The penalty moves the encoder only, the critic's own loss the critic only; one backward pass does both."""

    name = "critic"

    def __init__(self, config: CriticConfig, latents: int) -> None:
        super().__init__()
        self.schedule = config.schedule
        widths = [latents, *[config.width] * config.layers]
        steps = [(nn.Linear(before, after), nn.LeakyReLU(0.2)) for before, after in pairwise(widths)]
        layers = [layer for pair in steps for layer in pair]
        self.critic = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, seen: Pass) -> Tensor:
        """Estimated total correlation in nats; the critic's cross-entropy is in the gradient and not in the value."""
        frozen = {name: parameter.detach() for name, parameter in self.critic.named_parameters()}
        penalty: Tensor = functional_call(self.critic, frozen, (seen.latents,)).mean()
        apart = seen.latents.detach()
        together_B = self.critic(apart)[:, 0]
        product_B = self.critic(shuffled(apart, seen.generator))[:, 0]
        entropy = nn.functional.softplus(-together_B).mean() + nn.functional.softplus(product_B).mean()
        return penalty + 0.5 * (entropy - entropy.detach())
