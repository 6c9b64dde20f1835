"""Rows that share a factor's value, drawn from a finite labelled set.

The FactorVAE and beta-VAE scores were published for simulators: any factor can be held while all others are drawn
anew. On a labelled set the rows that have the value are what there is: they are drawn, with replacement, and the
other factors come as they come. Where labels go together the others are thus held too, which lowers both scores.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from heddle_adapters.arrays import Floats, Integers
from heddle_adapters.scores.bounds import seed_of, whole
from heddle_adapters.scores.information import checked
from heddle_adapters.scores.kinds import factor_levels
from heddle_adapters.scores.result import Protocol, Score, protocol_of
from heddle_platform.errors import InvalidInput

_AT_ONCE = 2_000_000  # numbers gathered at a time
_BINS = 20  # of a number whose value is to be shared


@dataclass(frozen=True, eq=False)
class Named(Score):
    """Held-out accuracy of naming the factor whose value a point's rows share.

    Attributes:
        taught_accuracy: the same on the points that taught it.
        chance: 1 / F.
    """

    taught_accuracy: float
    chance: float


@dataclass(frozen=True)
class Game:
    """How often what is drawn.

    Attributes:
        batch: pairs of rows, or rows, per point.
        taught, judged: points that teach, and that judge.
        seed: of all of them.

    Raises:
        InvalidInput: code `bad_setting`.
    """

    batch: int
    taught: int
    judged: int
    seed: int

    def __post_init__(self) -> None:
        whole("batch", self.batch, 1, 10_000)
        whole("taught", self.taught, 1, 10_000_000)
        whole("judged", self.judged, 1, 10_000_000)
        seed_of(self.seed)

    def parts(self, points: int, width: int) -> Iterator[slice]:
        """Cut points into parts whose rows of `width` numbers fit into memory."""
        at_once = max(1, _AT_ONCE // (self.batch * max(1, width)))
        for start in range(0, points, at_once):
            yield slice(start, start + at_once)

    def protocol(self, metric: str, model: str, rows: int) -> Protocol:
        """Return the protocol of a score of `rows` rows."""
        drawn_from = "rows that share the value, with replacement"
        return protocol_of(metric, model=model, n=rows, **vars(self), drawn_from=drawn_from)


@dataclass(frozen=True, eq=False)
class Sharing:
    """Rows of one factor sorted by level; levels with a single row are left out, for nothing varies in them."""

    order_R: Integers
    start_R: Integers
    size_R: Integers

    def groups(self, points: int, batch: int, random: np.random.Generator) -> Integers:
        """Return `points` groups of `batch` rows that share one value, the value of a row at random."""
        anchor_P = random.integers(len(self.order_R), size=points)
        step_PB = (random.random((points, batch)) * self.size_R[anchor_P, None]).astype(np.int64)
        result: Integers = self.order_R[self.start_R[anchor_P, None] + step_PB]
        return result

    def pairs(self, points: int, batch: int, random: np.random.Generator) -> tuple[Integers, Integers]:
        """Return `points` x `batch` pairs of two different rows that share a value, each pair its own."""
        anchor_PB = random.integers(len(self.order_R), size=(points, batch))
        size_PB, start_PB = self.size_R[anchor_PB], self.start_R[anchor_PB]
        ahead_PB = 1 + (random.random((points, batch)) * (size_PB - 1)).astype(np.int64)
        other_PB = start_PB + (anchor_PB - start_PB + ahead_PB) % size_PB
        return self.order_R[anchor_PB], self.order_R[other_PB]


def opened(codes: Any, factors: Any, kinds: Sequence[str] | None) -> tuple[Floats, list[Sharing]]:
    """Return codes, checked, and the rows that share a value, for each factor; numbers share one of 20 bins.

    Raises:
        InvalidInput: see `information.checked`, `kinds.factor_levels` and `sharing`.
    """
    codes_NL, factors_NF = checked(codes, factors)
    return codes_NL, sharing(factor_levels(factors_NF, kinds, _BINS))


def sharing(columns: Sequence[Integers]) -> list[Sharing]:
    """Return the rows that share a value, for each factor.

    Raises:
        InvalidInput: code `too_few_rows` if no level of a factor has two rows.
    """
    result = []
    for index, levels_N in enumerate(columns):
        count_K = np.bincount(levels_N)
        order_N = np.argsort(levels_N, kind="stable")
        kept_N = count_K[levels_N[order_N]] > 1
        order_R = order_N[kept_N]
        if len(order_R) == 0:
            raise InvalidInput(
                f"factor {index} has no level with 2 rows among {len(levels_N)}; pairs that share a value need them",
                code="too_few_rows",
                param=str(index),
            )
        size_K = np.where(count_K > 1, count_K, 0)
        start_K = np.cumsum(size_K) - size_K
        level_R = levels_N[order_R]
        result.append(Sharing(order_R, start_K[level_R], size_K[level_R]))
    return result
