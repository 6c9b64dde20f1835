"""What a caller may set a score to: whole numbers within their bounds, refused by name."""

import operator
from typing import Final

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
            f"{name} must be a whole number from {least:,} to {most:,}, got {value!r}", code="bad_setting", param=name
        )
    return found


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
