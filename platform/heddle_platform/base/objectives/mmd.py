"""Maximum mean discrepancy of the latents to a programmable prior (InfoVAE, Zhao 2017; WAE, Tolstikhin 2018).

A distance of two samples needs no density: the prior may be anything that can be drawn from, even the latents of
another model (Fruytier 2025). Kernel: the inverse multiquadratic over seven scales, as in WAE's public code.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from heddle_platform.base.objectives.term import Pass, Schedule, Term
from heddle_platform.errors import InvalidInput

_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class GaussianPrior(BaseModel):
    """A standard normal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: Literal["gaussian"] = "gaussian"

    def draw(self, count: int, latents: int, generator: torch.Generator) -> Tensor:
        """Draw [count, latents]."""
        return torch.randn(count, latents, generator=generator)


class UniformPrior(BaseModel):
    """Uniform with variance 1, -sqrt(3) to sqrt(3): unlike the normal it has axes, so a rotation does not fit it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: Literal["uniform"] = "uniform"

    def draw(self, count: int, latents: int, generator: torch.Generator) -> Tensor:
        """Draw [count, latents]."""
        return (torch.rand(count, latents, generator=generator) * 2 - 1) * 3**0.5


class MixturePrior(BaseModel):
    """Every latent on its own from a mixture of normals of variance `spread` squared at even steps, variance 1 in all.

    Attributes:
        components: K, at least 2.
        spread: standard deviation of a component, in 0..1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: Literal["mixture"] = "mixture"
    components: int = Field(default=3, ge=2)
    spread: float = Field(default=0.3, gt=0, lt=1)

    def draw(self, count: int, latents: int, generator: torch.Generator) -> Tensor:
        """Draw [count, latents]."""
        centers_K = torch.linspace(-1, 1, self.components)
        centers_K = centers_K / centers_K.std(correction=0) * (1 - self.spread**2) ** 0.5
        chosen = torch.randint(self.components, (count, latents), generator=generator)
        drawn: Tensor = centers_K[chosen] + self.spread * torch.randn(count, latents, generator=generator)
        return drawn


class SamplesPrior(BaseModel):
    """Rows of a given latent set: the code takes the shape of another model's, or of any made-up one (Fruytier 2025).

    Attributes:
        path: a .npy file of numbers [M, L], best of about variance 1, on which the kernel's scales are set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: Literal["samples"] = "samples"
    path: Path

    def draw(self, count: int, latents: int, generator: torch.Generator) -> Tensor:
        """Draw [count, latents], rows with repeats.

        Raises:
            InvalidInput: the file cannot be read, or has another number of latents.
        """
        samples_ML = _samples(self.path)
        if samples_ML.ndim != 2 or samples_ML.shape[1] != latents or not len(samples_ML):
            raise InvalidInput(
                f"{self.path.name} has shape {list(samples_ML.shape)}, a prior for {latents} latents needs "
                f"[M, {latents}] with M at least 1",
                code="prior_mismatch",
            )
        return samples_ML[torch.randint(len(samples_ML), (count,), generator=generator)]


@lru_cache(maxsize=4)
def _samples(path: Path) -> Tensor:
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False).astype(np.float32))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} is not a .npy file of latents: {error}", code="prior_unreadable") from error


Prior = Annotated[GaussianPrior | UniformPrior | MixturePrior | SamplesPrior, Field(discriminator="shape")]


class MmdConfig(BaseModel):
    """Weight and prior."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["mmd"] = "mmd"
    schedule: Schedule = Schedule(weight=500.0)
    prior: Prior = UniformPrior()


def squared_mmd(first_BL: Tensor, second_ML: Tensor) -> Tensor:
    """Squared MMD of two samples, biased (V-statistic): 0 for equal samples, never below (Gretton 2012, eq. 5)."""
    return _kernel(first_BL, first_BL) + _kernel(second_ML, second_ML) - 2 * _kernel(first_BL, second_ML)


def _kernel(first_BL: Tensor, second_ML: Tensor) -> Tensor:
    """Mean over pairs, and over scales, of C / (C + |x - y|^2) with C = 2 L scale, for a prior of variance 1."""
    squares = first_BL.square().sum(dim=1)[:, None] + second_ML.square().sum(dim=1)[None]
    distance_BM = (squares - 2 * first_BL @ second_ML.T).clamp(min=0)
    constants = [2 * first_BL.shape[1] * scale for scale in _SCALES]
    return torch.stack([(constant / (constant + distance_BM)).mean() for constant in constants]).mean()


class Mmd(Term):
    """Squared MMD of a batch's latents to as many draws from the prior."""

    name = "mmd"

    def __init__(self, config: MmdConfig) -> None:
        super().__init__()
        self.config, self.schedule = config, config.schedule

    def forward(self, seen: Pass) -> Tensor:
        """Between 0 and 2, no unit."""
        count, latents = seen.latents.shape
        return squared_mmd(seen.latents, self.config.prior.draw(count, latents, seen.generator).to(seen.latents.device))
