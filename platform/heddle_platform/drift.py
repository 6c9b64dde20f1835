"""Drift: what is summed of the images that a version edits, by the hour: sums that add up and hold no image.

A sum is only ever made of `BATCH` images or more, so that none says what a single image looks like.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

BATCH: Final = 8
KEPT_HOURS: Final = 31 * 24  # how long an hour's sums are kept
MOST_HOURS: Final = 30 * 24  # how far back one may look
USUAL_HOURS: Final = 7 * 24


class DriftSlot(NamedTuple):
    """What sums are kept under; `epoch` is the tenant's: what was seen before an erasure is not written after it."""

    tenant_id: str
    epoch: int
    adapter_name: str
    version: int
    hour: datetime


@dataclass(frozen=True)
class DriftSums:
    """Sums over images, whitened by the version's own mean and covariance.

    Attributes:
        images: how many.
        outside: how many of them lie outside the version's trusted range.
        square: sum of squared whitened norms.
        freedom: sum over batches of B images of B - 1.
        trace, square_trace: sums over batches of (B - 1) times an unbiased estimate of tr(S) and of tr(S S), S being
            the covariance within the batch.
        total: sum of the whitened latents that live, one number each.
        levels: per level of each levelled factor, in the factor set's order, how many images read so.
    """

    images: int
    outside: int
    square: float
    freedom: int
    trace: float
    square_trace: float
    total: tuple[float, ...]
    levels: tuple[int, ...]

    def __add__(self, other: "DriftSums") -> "DriftSums":
        """Return the sums over both; they must be of the same version."""
        return DriftSums(
            self.images + other.images,
            self.outside + other.outside,
            self.square + other.square,
            self.freedom + other.freedom,
            self.trace + other.trace,
            self.square_trace + other.square_trace,
            tuple(one + two for one, two in zip(self.total, other.total, strict=True)),
            tuple(one + two for one, two in zip(self.levels, other.levels, strict=True)),
        )


@dataclass(frozen=True)
class Watched:
    """A version and what it was fitted on, as its card tells.

    Attributes:
        adapter_id, adapter_name, version: which.
        images: labelled and unlabelled images of its fit; how many they amount to where labelled ones have weights.
        factors: name, counts by level and whether it is readable, of each factor.
        is_weighted: labelled images had weights, of which the counts know nothing.
        factor_set: the factor set's document, which has the levels in their order.
    """

    adapter_id: str
    adapter_name: str
    version: int
    images: int
    factors: Sequence[Mapping[str, Any]]
    is_weighted: bool
    factor_set: Mapping[str, Any]


@dataclass(frozen=True)
class WatchedSums:
    """Sums of a version over a time, and its first and last hour in it."""

    sums: DriftSums
    first_hour: datetime
    last_hour: datetime
