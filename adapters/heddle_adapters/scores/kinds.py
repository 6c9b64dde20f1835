"""Kinds of factors as the scores take them: which are levels, which are numbers, which go round."""

from collections.abc import Mapping, Sequence, Set, Sized

import numpy as np

from heddle_adapters.arrays import Floats, Integers
from heddle_adapters.scores.information import binned, levels_of
from heddle_platform.errors import InvalidInput

NUMBERS = frozenset({"continuous", "periodic"})
ORDERED = frozenset({"ordinal", "continuous"})
KNOWN = ("binary", "categorical", "ordinal", "continuous", "periodic")


def kinds_of(kinds: Sequence[str] | None, factors: int) -> list[str]:
    """Return one kind per factor; none given means that all are categories.

    Raises:
        InvalidInput: codes `kind_count_mismatch`, `unknown_kind`.
    """
    if kinds is None:
        return ["categorical"] * factors
    # a set has no order, so which factor a kind is of could not be told
    if isinstance(kinds, str | Mapping | Set) or not isinstance(kinds, Sized):
        raise InvalidInput(
            f"kinds must be a list, one of each factor, got {kinds!r:.60}", code="kind_count_mismatch", param="kinds"
        )
    if len(kinds) != factors:
        raise InvalidInput(
            f"there are {len(kinds)} kinds and {factors} factors; they must be equal",
            code="kind_count_mismatch",
            param="kinds",
        )
    for index, kind in enumerate(kinds):
        if kind not in KNOWN:
            raise InvalidInput(
                f"factor {index} has the unknown kind {str(kind)!r}; known are: {', '.join(KNOWN)}",
                code="unknown_kind",
                param=str(index),
            )
    return [str(kind) for kind in kinds]


def factor_levels(factors_NF: Floats, kinds: Sequence[str] | None, bins: int) -> list[Integers]:
    """Return all factors as levels 0..: binned where their kind is a number.

    Raises:
        InvalidInput: see `kinds_of`, `refuse_third_values` and `information.levels_of`.
    """
    columns, known = [], kinds_of(kinds, factors_NF.shape[1])
    refuse_third_values(factors_NF, known)
    for index, kind in enumerate(known):
        column_N = factors_NF[:, index]
        columns.append(binned(column_N, bins) if kind in NUMBERS else levels_of(factors_NF, only=index)[0])
    return columns


def refuse_third_values(factors_NF: Floats, kinds: Sequence[str]) -> None:
    """Refuse a binary factor of more than two values, as one is where -1 stands for "not known".

    Raises:
        InvalidInput: code `unknown_level`.
    """
    for index, kind in enumerate(kinds):
        distinct = len(np.unique(factors_NF[:, index])) if kind == "binary" else 0
        if distinct > 2:
            raise InvalidInput(
                f"factor {index} is binary and has {distinct} distinct values; drop the rows where it is not known, "
                "or declare it categorical",
                code="unknown_level",
                param=str(index),
            )


def filled(levels_N: Integers) -> Integers:
    """Return levels renumbered without gaps, as a part of the rows or empty bins leave them."""
    return np.unique(levels_N, return_inverse=True)[1].astype(np.int64)


def unit_range(factor_N: Floats) -> Floats:
    """Return a factor from 0 to at most 1, scaled by a power of two, which is exact: its unit decides nothing.

    Trees take a variance under 2e-16 for none, and squares of very small numbers vanish.
    """
    factor_N = np.ldexp(factor_N, -np.frexp(np.abs(factor_N).max())[1])
    factor_N = factor_N - factor_N.min()
    result: Floats = np.ldexp(factor_N, -np.frexp(factor_N.max())[1])
    return result


def on_circle(factor_N: Floats) -> Floats:
    """Return (cos, sin) of a periodic factor, [N, 2].

    Its period is not known here: its range and one mean gap between its values are one turn, so that 0, 90, 180 and
    270 are four quarters.
    """
    distinct = len(np.unique(factor_N))
    unit_N = unit_range(factor_N)
    turn_N = unit_N / unit_N.max() * (2 * np.pi * (distinct - 1) / distinct)
    return np.stack([np.cos(turn_N), np.sin(turn_N)], axis=1)
