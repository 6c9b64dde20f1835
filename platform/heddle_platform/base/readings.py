"""What is read off a base while it trains and when it is done: figures of one moment, and scores with their protocol.

Scores live in `heddle_adapters.scores`, a floor of its own beside infra: whoever trains hands in the function that
computes them, so that the base knows their names and values and nothing of how they are made.
"""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from heddle_platform.base.alarms import Alarm


class Reading(BaseModel):
    """A score as it is quoted.

    Attributes:
        value: the number.
        low, high: 95 % interval, None where none was made.
        by: protocol in a few words ("k = 3, n = 250").
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float | None = None
    high: float | None = None
    by: str = ""


Score = Callable[[NDArray[Any], NDArray[Any]], dict[str, Reading]]
"""Codes [N, L] and labels [N, F], all known, to scores by name; what the input does not define is left out."""


class Measurement(BaseModel):
    """A base at one step of its training, measured on held-out images.

    Attributes:
        step: steps taken.
        elapsed_seconds: trained so far, over all legs.
        losses: term -> nats per image, unweighted, running mean.
        mse: part -> mean squared error of the round trip, images in 0..1.
        edges: part -> edge energy of the reconstructions over that of the images; 1 is as sharp, 0 a flat grey.
        active_units: latents whose posterior mean varies by more than .01.
        kl_per_latent: mean KL of each latent, nats.
        scores: part -> score -> reading, on the labelled slice.
        warnings: what is going wrong.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    elapsed_seconds: float
    losses: dict[str, float]
    mse: dict[str, float]
    edges: dict[str, float]
    active_units: int
    kl_per_latent: tuple[float, ...]
    scores: dict[str, dict[str, Reading]] = {}
    warnings: tuple[Alarm, ...] = ()

    @property
    def kl(self) -> float:
        """Nats per image: the rate of the rate-distortion curve."""
        return sum(self.kl_per_latent)

    @property
    def distortion(self) -> float:
        """Mean squared error, mean over parts."""
        return sum(self.mse.values()) / len(self.mse)

    def score(self, name: str) -> float | None:
        """A score's mean over the parts that have it, or None."""
        values = [readings[name].value for readings in self.scores.values() if name in readings]
        return sum(values) / len(values) if values else None
