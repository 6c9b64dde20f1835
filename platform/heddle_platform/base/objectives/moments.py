"""Moments of the aggregate posterior, matched to the identity: DIP-VAE I and II (Kumar 2018, eq. 5 to 7)."""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from heddle_platform.base.objectives.term import Pass, Schedule, Term


class MomentsConfig(BaseModel):
    """Weights of the penalty.

    Attributes:
        of: "means" takes the covariance of posterior means (DIP-VAE I), "samples" that of samples, which adds the
            mean posterior variance (DIP-VAE II).
        diagonal: weight of a variance's distance from 1, beside 1 for a covariance's distance from 0. Kumar
            takes 10 for I and 1 for II.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["moments"] = "moments"
    schedule: Schedule = Schedule(weight=10.0)
    of: Literal["means", "samples"] = "means"
    diagonal: float = Field(default=10.0, ge=0)


class Moments(Term):
    """Sum of squared distances of the batch's covariance of latents from the identity."""

    name = "moments"

    def __init__(self, config: MomentsConfig) -> None:
        super().__init__()
        self.config, self.schedule = config, config.schedule

    def forward(self, seen: Pass) -> Tensor:
        """The penalty; its unit is that of squared covariances."""
        centered_BL = seen.mean - seen.mean.mean(dim=0)
        covariance_LL = centered_BL.T @ centered_BL / len(centered_BL)
        if self.config.of == "samples":
            covariance_LL = covariance_LL + torch.diag(seen.logvar.exp().mean(dim=0))
        variance_L = torch.diagonal(covariance_LL)
        across = covariance_LL.square().sum() - variance_L.square().sum()
        return across + self.config.diagonal * (variance_L - 1).square().sum()
