"""Light supervision that names latents: each pinned latent is told to be one factor, on labelled images.

`anchor` makes factors readable from all latents together; this term says which latent is which factor (the supervised
loss of Locatello 2020, few labels, section 3, with a squared error). How many images are labelled is the recipe's
`labels`; a batch without any costs nothing.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from heddle_platform.base.corpus import Factor
from heddle_platform.base.objectives.term import Pass, Schedule, Term
from heddle_platform.errors import InvalidInput


class Pin(BaseModel):
    """One factor and its latents.

    Attributes:
        factor: key of a factor of the corpus.
        latents: their indices. "ordered": one latent, whose value grows evenly with the level, variance 1 over uniform
            levels. "periodic": two, (cos, sin) of the level's angle times sqrt(2). "folded": one, whose value grows
            evenly over the first half of a turn and falls over the second, variance 1 over angles: without a jump, and
            levels as far before as after a turn's middle share a value. "levels": one latent per level, the largest
            of which is the image's.
        scale: how levels lie; finely cut continuous factors are "ordered", "periodic" or "folded".
        period: levels of one turn, for "periodic" and "folded"; the number of levels if None. Where the last level
            equals the first it is one less; of a turn after which a thing looks the same, it is that turn's levels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    factor: str
    latents: tuple[int, ...] = Field(min_length=1)
    scale: Literal["ordered", "periodic", "folded", "levels"] = "ordered"
    period: float | None = Field(default=None, ge=2)

    @model_validator(mode="after")
    def _count(self) -> "Pin":
        wanted = {"ordered": 1, "periodic": 2, "folded": 1}.get(self.scale, len(self.latents))
        if len(self.latents) != wanted:
            raise ValueError(f"{self.factor} is {self.scale}: it takes {wanted} latents, {len(self.latents)} are given")
        return self


class PinConfig(BaseModel):
    """Weight and pins.

    Attributes:
        pins: which latents are which factors; no latent twice.
        spread: standard deviation a pinned latent may have around its value; the loss is a Gaussian's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["pin"] = "pin"
    schedule: Schedule = Schedule()
    pins: tuple[Pin, ...] = Field(min_length=1)
    spread: float = Field(default=0.2, gt=0)

    @model_validator(mode="after")
    def _once(self) -> "PinConfig":
        used = [latent for pin in self.pins for latent in pin.latents]
        if len(set(used)) < len(used):
            raise ValueError(f"pins use latents {sorted(used)}: each may be pinned once")
        return self


def targets(pin: Pin, levels: int) -> Tensor:
    """The values a pin's latents take at each level, [K, latents]; mean 0, variance 1 over uniform levels or angles."""
    index_K = torch.arange(levels, dtype=torch.float32)
    if pin.scale == "periodic":
        angle_K = 2 * math.pi * index_K / (pin.period or levels)
        return math.sqrt(2) * torch.stack([angle_K.cos(), angle_K.sin()], dim=1)
    if pin.scale == "folded":
        turn_K = index_K / (pin.period or levels) % 1
        return (math.sqrt(3) * (1 - 2 * (2 * turn_K - 1).abs()))[:, None]
    # Evenly spaced over -1..1, whose variance is (K + 1) / (3 (K - 1)).
    even_K = 2 * index_K / (levels - 1) - 1
    return (even_K * math.sqrt(3 * (levels - 1) / (levels + 1)))[:, None]


class PinLatents(Term):
    """Sum over pins of the mean, over images whose factor is known, of what the label costs.

    Args:
        config: weight and pins.
        latents: L.
        factors: the corpus's factors, which labels refer to.
    Raises:
        InvalidInput: a pin names a factor or a latent that does not exist.
    """

    name = "pin"

    def __init__(self, config: PinConfig, latents: int, factors: Sequence[Factor]) -> None:
        super().__init__()
        self.config, self.schedule = config, config.schedule
        keys = [factor.key for factor in factors]
        self.columns = []
        for index, pin in enumerate(config.pins):
            if pin.factor not in keys:
                raise InvalidInput(
                    f"no factor {pin.factor!r} to pin; the corpus has {', '.join(keys)}", code="invalid_recipe"
                )
            if not all(0 <= latent < latents for latent in pin.latents):
                raise InvalidInput(
                    f"{pin.factor} is pinned to {list(pin.latents)}, latents are 0..{latents - 1}",
                    code="invalid_recipe",
                )
            column = keys.index(pin.factor)
            levels = len(factors[column].levels)
            if pin.scale == "levels" and len(pin.latents) != levels:
                raise InvalidInput(
                    f"{pin.factor} has {levels} levels, it is pinned to {len(pin.latents)} latents",
                    code="invalid_recipe",
                )
            self.columns.append(column)
            if pin.scale != "levels":
                self.register_buffer(f"targets_{index}", targets(pin, levels), persistent=False)

    def forward(self, seen: Pass) -> Tensor:
        """Nats per labelled image."""
        costs = [seen.mean.sum() * 0]
        for index, (pin, column) in enumerate(zip(self.config.pins, self.columns, strict=True)):
            known = seen.labels[:, column] >= 0
            if not bool(known.any()):
                continue
            level_B = seen.labels[known, column]
            code = seen.mean[known][:, list(pin.latents)]
            if pin.scale == "levels":
                costs.append(nn.functional.cross_entropy(code, level_B))
            else:
                wanted = self.get_buffer(f"targets_{index}")[level_B]
                costs.append((code - wanted).square().sum(dim=1).mean() / (2 * self.config.spread**2))
        return torch.stack(costs).sum()
