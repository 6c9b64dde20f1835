"""What every training objective looks like: one number per batch, a weight, and how the weight grows.

A term measures nats per image, so that weights of different terms compare. Adding an objective is adding a file
with one subclass and one entry in the recipe's union.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn


class Schedule(BaseModel):
    """A weight over the course of training.

    Attributes:
        weight: the weight once it is fully on.
        warmup: share of the training over which the weight rises linearly from 0, in 0..1.
        final: the weight at the end of the training; None: `weight`.
        hold: share of the training after which the weight moves linearly to `final`, in 0..1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: float = Field(default=1.0, ge=0)
    warmup: float = Field(default=0.0, ge=0, le=1)
    final: float | None = Field(default=None, ge=0)
    hold: float = Field(default=0.0, ge=0, lt=1)

    def at(self, progress: float) -> float:
        """The weight at `progress`, the share of the training that is done (0..1)."""
        rise = 1.0 if self.warmup == 0 else min(1.0, progress / self.warmup)
        if self.final is None:
            return self.weight * rise
        moved = min(1.0, max(0.0, progress - self.hold) / (1 - self.hold))
        return (self.weight + (self.final - self.weight) * moved) * rise


@dataclass(frozen=True)
class Pass:
    """One batch and what the network made of it: all a term may look at.

    Attributes:
        images: [B, C, H, W] in 0..1.
        reconstruction: [B, C, H, W], unclamped.
        mean, logvar: posterior, [B, L].
        latents: the sample that was decoded, [B, L].
        labels: int64 [B, F] over the corpus's factors, -1 where unknown.
        progress: share of the training that is done, in 0..1.
        generator: the step's source of chance.
        encode: images [N, C, H, W] -> mean and logvar of their posterior, [N, L] each; for terms that look at others.
        decode: latents [N, L] -> images [N, C, H, W].
    """

    images: Tensor
    reconstruction: Tensor
    mean: Tensor
    logvar: Tensor
    latents: Tensor
    labels: Tensor
    progress: float
    generator: torch.Generator
    encode: Callable[[Tensor], tuple[Tensor, Tensor]]
    decode: Callable[[Tensor], Tensor]


class Term(nn.Module):
    """One objective; it may own parameters (heads, critics), trained along and left behind at export."""

    name: str
    schedule: Schedule

    def posterior(self, mean_BL: Tensor, logvar_BL: Tensor, weight: float) -> tuple[Tensor, Tensor]:
        """What the term makes of the posterior before it is sampled, at its present weight; most leave it alone."""
        return mean_BL, logvar_BL

    def forward(self, seen: Pass) -> Tensor:
        """The term's value, a scalar in nats per image."""
        raise NotImplementedError
