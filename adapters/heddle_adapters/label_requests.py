"""The images to label next: level pairs that occur too seldom, packed into as few descriptions as will do.

One image shows a level of every factor, so one description can fill many pairs at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heddle_adapters.arrays import Floats
from heddle_adapters.design import THIN_CELL
from heddle_platform.factors import FactorSet, LevelledFactor

MOST_REQUESTS = 20
_MOST_LEVELS = 60  # of one factor; beyond it every pair is rare and the list would say nothing
_MOST_NAMED = 10  # images of the pool named per request


@dataclass(frozen=True)
class LabelRequest:
    """Images to label.

    Attributes:
        levels: factor -> level the images must show; other factors may show anything.
        have: images that show the rarest pair of these levels now.
        wanted: images still needed.
        pairs: rare pairs of levels that such images fill.
        pool: rows of the unlabelled images that read so, surest agreement first; empty if none does.
    """

    levels: dict[str, str]
    have: int
    wanted: int
    pairs: int
    pool: tuple[int, ...] = ()

    @property
    def sentence(self) -> str:
        """What to do, in words."""
        shown = ", ".join(f"{factor} is {level!r}" for factor, level in self.levels.items())
        return f"label {self.wanted} more image(s) in which {shown} ({self.have} now, {THIN_CELL} needed)"


def label_requests(
    values_NF: Floats, factor_set: FactorSet, *, pool_read_MF: Floats | None = None, least: int = THIN_CELL
) -> tuple[tuple[LabelRequest, ...], int]:
    """Return requests, most rewarding first, and how many pairs of levels have fewer than `least` images.

    Greedy: start at the rarest pair, give every other factor the level that fills most rare pairs with those chosen
    (none if none is), count those pairs as filled, and go on.

    Args:
        values_NF: labels, NaN where missing.
        factor_set: the F factors; numbers have no cells and are never asked for.
        pool_read_MF: readings of the unlabelled images, to name those that look right.
        least: images a pair of levels needs.
    """
    counted = [
        (index, factor.level_names)
        for index, factor in enumerate(factor_set.factors)
        if isinstance(factor, LevelledFactor) and len(factor.level_names) <= _MOST_LEVELS
    ]
    lack = _lacks(values_NF, counted, least)
    short = int((np.triu(lack, 1) > 0).sum())
    firsts = np.cumsum([0, *(len(names) for _, names in counted)])
    known = factor_set.names
    requests: list[LabelRequest] = []
    while len(requests) < MOST_REQUESTS and lack.size and lack.max() > 0:
        chosen = _combination(lack, firsts)
        cells = lack[np.ix_(chosen, chosen)]
        wanted = int(cells.max())
        levels = {}
        read_as = []
        for place in chosen:
            owner = int(np.searchsorted(firsts, place, side="right") - 1)
            index, names = counted[owner]
            levels[known[index]] = names[place - firsts[owner]]
            read_as.append((index, float(place - firsts[owner])))
        pairs = int((np.triu(cells, 1) > 0).sum())
        requests.append(LabelRequest(levels, least - wanted, wanted, pairs, _named(pool_read_MF, read_as)))
        lack[np.ix_(chosen, chosen)] = 0
    return tuple(requests), short


def _lacks(values_NF: Floats, counted: Sequence[tuple[int, tuple[str, ...]]], least: int) -> Floats:
    """Images every pair of levels lacks, [S, S] over all levels side by side; 0 within a factor."""
    one_hot = [
        (values_NF[:, index : index + 1] == np.arange(len(names))[None, :]).astype(np.float64)
        for index, names in counted
    ]
    if not one_hot:
        return np.zeros((0, 0))
    shown_NS = np.hstack(one_hot)
    lack_SS: Floats = np.maximum(0.0, least - shown_NS.T @ shown_NS)
    first = 0
    for columns in one_hot:
        last = first + columns.shape[1]
        lack_SS[first:last, first:last] = 0.0
        first = last
    return lack_SS


def _combination(lack_SS: Floats, firsts: Floats) -> list[int]:
    chosen = [int(place) for place in np.unravel_index(int(lack_SS.argmax()), lack_SS.shape)]
    taken = {int(np.searchsorted(firsts, place, side="right") - 1) for place in chosen}
    for owner in range(len(firsts) - 1):
        if owner in taken:
            continue
        block = slice(int(firsts[owner]), int(firsts[owner + 1]))
        gain = lack_SS[chosen, block].sum(axis=0)
        if gain.max(initial=0.0) > 0:
            chosen.append(int(firsts[owner]) + int(gain.argmax()))
    return sorted(chosen)


def _named(pool_read_MF: Floats | None, read_as: Sequence[tuple[int, float]]) -> tuple[int, ...]:
    if pool_read_MF is None or not len(pool_read_MF):
        return ()
    fits_M = np.all([pool_read_MF[:, index] == level for index, level in read_as], axis=0)
    return tuple(np.flatnonzero(fits_M)[:_MOST_NAMED].tolist())
