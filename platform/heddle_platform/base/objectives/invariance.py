"""Augmentation invariance: two augmentations of an image find each other among all others' (InfoNCE).

The loss is SimCLR's NT-Xent (Chen 2020, eq. 1): log(2B - 1) less it is a lower bound, in nats, of what the codes of
two views tell of each other (van den Oord 2018, section 2.3). What augmentations change, the code then leaves out.
"""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from heddle_platform.base.augment import AugmentConfig, augment
from heddle_platform.base.objectives.term import Pass, Schedule, Term


class InvarianceConfig(BaseModel):
    """Weight, and what the code shall not see.

    Attributes:
        temperature: of the softmax over cosines.
        projection: width of the head between code and cosine, left behind at export; 0 compares codes themselves.
        augment: how views are made; its share is not used, every image gets two.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["invariance"] = "invariance"
    schedule: Schedule = Schedule(weight=10.0)
    temperature: float = Field(default=0.2, gt=0)
    projection: int = Field(default=64, ge=0)
    augment: AugmentConfig = AugmentConfig()


def info_nce(first_BP: Tensor, second_BP: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding each view's twin among the 2B - 1 other views by cosine, in nats."""
    views = nn.functional.normalize(torch.cat([first_BP, second_BP]), dim=1)
    cosine = views @ views.T / temperature
    cosine = cosine.masked_fill(torch.eye(len(views), dtype=torch.bool, device=views.device), -torch.inf)
    twin = torch.arange(len(views), device=views.device).roll(len(first_BP))
    return nn.functional.cross_entropy(cosine, twin)


class Invariance(Term):
    """NT-Xent of the posterior means of two views."""

    name = "invariance"

    def __init__(self, config: InvarianceConfig, latents: int) -> None:
        super().__init__()
        self.config, self.schedule = config, config.schedule
        width = config.projection
        self.project: nn.Module = (
            nn.Sequential(nn.Linear(latents, width), nn.GELU(), nn.Linear(width, width)) if width else nn.Identity()
        )

    def forward(self, seen: Pass) -> Tensor:
        """Nats per view, at most about log(2B - 1) once anything is learnt."""
        views = [augment(seen.images, self.config.augment, seen.generator) for _ in range(2)]
        mean, _ = seen.encode(torch.cat(views))
        first, second = self.project(mean).chunk(2)
        return info_nce(first, second, self.config.temperature)
