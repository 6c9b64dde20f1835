"""Which rows teach and which judge, and the two ways of taking rows that published implementations differ by.

"drawn": as disentanglement_lib samples from all images there are, rows are drawn *with replacement*, as many as there
are; half as many again, drawn from the same rows, judge. On a finite labelled set the judged rows thus overlap the
taught ones. "each": every row once, a third of them held out.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from heddle_adapters.arrays import Integers
from heddle_adapters.scores.bounds import one_of
from heddle_platform.errors import InvalidInput

Rows = Literal["drawn", "each"]


@dataclass(frozen=True, eq=False)
class Cut:
    """Row numbers that teach and row numbers that judge."""

    taught: Integers
    judged: Integers


def take(rows: int, way: Rows, seed: int) -> Cut:
    """Return taught and judged rows; "each" teaches all rows that its judging third does not hold.

    Raises:
        InvalidInput: code `unknown_rows`.
    """
    _check(way)
    if way == "each":
        return held_out(rows, 3, seed)
    # numpy's old generator on purpose: the golden values were drawn with it
    drawn = np.random.RandomState(seed).randint(rows, size=rows + max(1, rows // 2))
    return Cut(drawn[:rows].astype(np.int64), drawn[rows:].astype(np.int64))


def described(rows: int, way: Rows, seed: int) -> Integers:
    """Return the rows that a score without a test set is taken over.

    Raises:
        InvalidInput: code `unknown_rows`.
    """
    _check(way)
    return take(rows, way, seed).taught if way == "drawn" else np.arange(rows)


def _check(way: str) -> None:
    one_of("rows", way, ("drawn", "each"))


def held_out(rows: int, parts: int, seed: int) -> Cut:
    """Hold out one part in `parts` of the rows, shuffled.

    Raises:
        InvalidInput: code `too_few_rows` if that leaves fewer than two rows on either side.
    """
    if rows < 2 * parts:
        raise InvalidInput(
            f"there are {rows} rows, holding out one in {parts} needs at least {2 * parts}", code="too_few_rows"
        )
    order = np.random.RandomState(seed).permutation(rows).astype(np.int64)
    judged = rows // parts
    return Cut(order[judged:], order[:judged])
