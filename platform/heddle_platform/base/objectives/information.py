"""Mutual information between categorical codes and what is drawn from them (InfoGAN, Chen 2016, eq. 5).

Some latents form categorical codes. Images are drawn from random levels (and random other latents); a recogniser of
its own, left behind at export, tells the levels from the images. The decoder is paid for being readable, so a code's
levels come to look different: crisp categories. In a recipe beside `kl` this is the beta-VAE with the term; without
`kl` it stands alone.
"""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from heddle_platform.base.objectives.term import Pass, Schedule, Term
from heddle_platform.errors import InvalidInput

_SIDE = 16


class InformationConfig(BaseModel):
    """Codes and the recogniser.

    Attributes:
        codes: number of levels of each code, at least 2; a code of K levels takes K latents, the first code the
            first ones, and so on.
        width: values of the recogniser's hidden layer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["information"] = "information"
    schedule: Schedule = Schedule(weight=10.0)
    codes: tuple[int, ...] = Field(default=(10,), min_length=1)
    width: int = Field(default=256, ge=1)

    @model_validator(mode="after")
    def _levels(self) -> "InformationConfig":
        if min(self.codes) < 2:
            raise ValueError(f"a code has {min(self.codes)} levels; it needs at least 2")
        return self


def code_latents(levels_B: Tensor, size: int) -> Tensor:
    """A code's levels as latents [B, size]: one-hot, moved and scaled to mean 0 and variance 1 over uniform levels."""
    hot = nn.functional.one_hot(levels_B, size).float()
    centred: Tensor = (hot - 1 / size) * size / (size - 1) ** 0.5
    return centred


class Information(Term):
    """The negative of the bound H(c) + E log Q(c | D(c, z)), summed over codes: 0 for a blind recogniser.

    Args:
        config: codes and the recogniser's width.
        latents: L, at least as many as the codes take.
        channels: of the image.
    Raises:
        InvalidInput: the codes take more latents than there are.
    """

    name = "information"

    def __init__(self, config: InformationConfig, latents: int, channels: int) -> None:
        super().__init__()
        self.config, self.schedule = config, config.schedule
        taken = sum(config.codes)
        if taken > latents:
            raise InvalidInput(
                f"codes {list(config.codes)} take {taken} latents, the network has {latents}", code="invalid_recipe"
            )
        self.rest = latents - taken
        # A small picture is enough to tell categories, and keeps the recogniser cheap beside the network.
        self.recogniser = nn.Sequential(
            nn.AdaptiveAvgPool2d(_SIDE),
            nn.Flatten(),
            nn.Linear(channels * _SIDE**2, config.width),
            nn.GELU(),
            nn.Linear(config.width, taken),
        )

    def forward(self, seen: Pass) -> Tensor:
        """Nats per image, between -sum(log K) and 0 once anything is learnt."""
        count, device = len(seen.images), seen.mean.device
        sizes = self.config.codes
        levels = [torch.randint(size, (count,), generator=seen.generator).to(device) for size in sizes]
        others = torch.randn(count, self.rest, generator=seen.generator).to(device)
        hot = [code_latents(level_B, size) for level_B, size in zip(levels, sizes, strict=True)]
        logits = self.recogniser(seen.decode(torch.cat([*hot, others], dim=1)))
        entropies = [
            nn.functional.cross_entropy(logits_BK, level_B) - torch.tensor(float(logits_BK.shape[1])).log()
            for logits_BK, level_B in zip(logits.split(list(sizes), dim=1), levels, strict=True)
        ]
        return torch.stack(entropies).sum()
