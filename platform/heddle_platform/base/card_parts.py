"""Figures of a base's card: what it scored on one part of the corpus, and over several seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from heddle_platform.base.corpus import Part
from heddle_platform.base.readings import Reading, Score
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.base.sharpness import edge_share
from heddle_platform.base.slices import labelled_slice

# 97.5 % points of Student's t for 1 to 9 degrees of freedom; beyond, 2.26 is a little wide, which is the safe side.
_T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)


class PartCard(BaseModel):
    """One part of the corpus, on held-out images.

    Attributes:
        images: how many.
        mse: of the round trip, images in 0..1.
        edges: edge energy of the reconstructions over that of the images.
        scores: by name.
        chance: mean over its factors of the share of the commonest level; None where it has no labels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int
    mse: float
    edges: float
    scores: dict[str, Reading] = {}
    chance: float | None = None


class SeedRun(BaseModel):
    """One run of a recipe with a seed of its own: what it scored at its end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int
    mse: float
    kl: float
    active_units: int
    scores: dict[str, float] = {}


@dataclass(frozen=True)
class Spread:
    """A figure over seeds: median, smallest, largest, and the 95 % interval of its mean (Student's t)."""

    median: float
    least: float
    most: float
    low: float | None
    high: float | None
    runs: int


def spread(values: Sequence[float]) -> Spread:
    """Sum up a figure over at least one run; an interval needs two."""
    low = high = None
    if len(values) > 1:
        half = _T[min(len(values) - 1, len(_T)) - 1] * float(np.std(values, ddof=1)) / len(values) ** 0.5
        low, high = float(np.mean(values)) - half, float(np.mean(values)) + half
    return Spread(float(np.median(values)), min(values), max(values), low, high, len(values))


def measure_part(runtime: BaseRuntime, part: Part, codes_NL: NDArray[np.float32], score: Score | None) -> PartCard:
    """Measure one part.

    Args:
        runtime: the base.
        part: held-out images.
        codes_NL: their codes.
        score: computes scores where the part has labels.
    """
    drawn = runtime.decode(codes_NL)
    wanted = part.images.astype(np.float32) / np.float32(255)
    found = labelled_slice(part)
    return PartCard(
        images=len(part.images),
        mse=round(float(np.square(drawn - wanted, dtype=np.float64).mean()), 6),
        edges=round(edge_share(drawn, wanted), 4),
        scores=score(codes_NL[: len(found)], found) if score and found is not None else {},
        chance=None if found is None else _chance(found),
    )


def _chance(labels_NF: NDArray[np.int16]) -> float:
    return float(np.mean([np.bincount(column).max() / len(column) for column in labels_NF.T]))
