"""Light supervision: linear heads read the corpus's own factor labels from the posterior mean.

The heads make common factors linearly readable (Locatello 2020, few labels); they are thrown away at export. Every
factor weighs the same whatever its number of levels: cross-entropy is divided by the log of that number.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from heddle_platform.base.objectives.term import Pass, Schedule, Term

_LOGIT_BOUND = 30.0


class AnchorConfig(BaseModel):
    """Weight of the supervision."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["anchor"] = "anchor"
    schedule: Schedule = Schedule(weight=8.0)


class Anchor(Term):
    """Cross-entropy of all factors at once, summed over an image's known factors, mean over labelled images.

    Args:
        config: weight and schedule.
        latents: L.
        levels: number of levels per factor, each at least 2.
    """

    name = "anchor"
    start_F: Tensor
    segment_KF: Tensor
    scale_F: Tensor

    def __init__(self, config: AnchorConfig, latents: int, levels: Sequence[int]) -> None:
        super().__init__()
        self.schedule = config.schedule
        sizes_F = torch.tensor(levels)
        # One product for all heads; levels of all factors lie side by side, K in all.
        self.heads = nn.Linear(latents, int(sizes_F.sum()))
        factor_of_K = torch.repeat_interleave(torch.arange(len(levels)), sizes_F)
        self.register_buffer("start_F", sizes_F.cumsum(0) - sizes_F, persistent=False)
        self.register_buffer("segment_KF", nn.functional.one_hot(factor_of_K, len(levels)).float(), persistent=False)
        self.register_buffer("scale_F", 1 / sizes_F.float().log().clamp(min=0.5), persistent=False)

    def forward(self, seen: Pass) -> Tensor:
        """Cross-entropy in units of log(levels), summed over known factors."""
        known_BF = seen.labels >= 0
        labelled = known_BF.any(dim=1)
        if not bool(labelled.any()):
            return seen.mean.sum() * 0
        raw_BK = self.heads(seen.mean[labelled])
        # Softly bounded, so that a plain exp cannot overflow and no per-factor maximum is needed.
        logits_BK = _LOGIT_BOUND * torch.tanh(raw_BK / _LOGIT_BOUND)
        normaliser_BF = torch.log(logits_BK.exp() @ self.segment_KF)
        known = known_BF[labelled]
        chosen_BF = logits_BK.gather(1, self.start_F + seen.labels[labelled].clamp(min=0))
        entropy_BF = (normaliser_BF - chosen_BF) * self.scale_F
        return (entropy_BF * known).sum() / len(raw_BK)
