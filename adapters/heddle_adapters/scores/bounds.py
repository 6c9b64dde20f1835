"""What a caller may set a score to: whole numbers within their bounds, refused by name."""

import math
import operator
from collections.abc import Iterable
from typing import Final

import numpy as np

from heddle_platform.errors import InvalidInput

MOST_BINS: Final = 1_000  # a table of codes' bins times factors' bins still fits
MOST_FOLDS: Final = 10_000
MOST_SEEDS: Final = 2**32 - 1


def whole(name: str, value: int, least: int, most: int) -> int:
    """Return a setting as a plain int.

    Args:
        name: of the setting.
        value: what was set; NumPy's integers count.
        least, most: bounds, both allowed.

    Raises:
        InvalidInput: code `bad_setting`.
    """
    try:
        found = operator.index(value)
    except TypeError:
        found = least - 1
    if isinstance(value, bool) or not least <= found <= most:
        raise InvalidInput(
            f"{name} must be a whole number from {least:,} to {most:,}, got {value!r:.60}",
            code="bad_setting",
            param=name,
        )
    return found


def number(name: str, value: float, least: float, most: float = math.inf) -> float:
    """Return a setting as a plain float; NaN and infinity are none.

    Args:
        name: of the setting.
        value: what was set; NumPy's numbers count.
        least, most: bounds, both allowed.

    Raises:
        InvalidInput: code `bad_setting`.
    """
    plain = isinstance(value, float | int | np.floating | np.integer) and not isinstance(value, bool)
    if not plain or not least <= value <= most or not math.isfinite(value):
        bounds = f"from {least:g} to {most:g}" if math.isfinite(most) else f"of {least:g} or more"
        raise InvalidInput(f"{name} must be a number {bounds}, got {value!r:.60}", code="bad_setting", param=name)
    return float(value)


def one_of(name: str, value: str, known: Iterable[str]) -> str:
    """Return a choice among a few names.

    Raises:
        InvalidInput: code `unknown_` and the name of the setting.
    """
    names = tuple(known)
    if not isinstance(value, str) or value not in names:
        raise InvalidInput(
            f"unknown {name} {value!r:.60}; known are: {', '.join(names)}", code=f"unknown_{name}", param=name
        )
    return value


def seed_of(value: int) -> int:
    """Return a seed: equal input gives equal values, so a score has one."""
    return whole("seed", value, 0, MOST_SEEDS)


def folds_of(value: int, rows: int, name: str = "folds") -> int:
    """Return a number of parts that rows are cut into.

    Raises:
        InvalidInput: code `bad_setting`; `too_few_rows` if there are fewer than two rows a part.
    """
    parts = whole(name, value, 2, MOST_FOLDS)
    if rows < 2 * parts:
        raise InvalidInput(f"there are {rows} rows, {parts} {name} need at least {2 * parts}", code="too_few_rows")
    return parts


def bins_of(value: int) -> int:
    """Return a number of bins, at least two: one bin tells nothing."""
    return whole("bins", value, 2, MOST_BINS)
