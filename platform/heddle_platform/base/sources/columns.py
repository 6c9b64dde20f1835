"""Which columns of a source are factors, and their levels: found out while its samples go by."""

import math
from collections.abc import Mapping
from typing import Final

from heddle_platform.base.sources.sample import Sample
from heddle_platform.errors import InvalidInput

MAX_LEVELS: Final = 1_000
_MAX_CHARACTERS: Final = 200


class Columns:
    """Collects the levels of every column that can be a factor: text, whole numbers, true or false.

    Args:
        wanted: the columns to take, each of which must be one; None takes those that can be and leaves out the rest.
    """

    def __init__(self, wanted: tuple[str, ...] | None) -> None:
        self._wanted = wanted
        self._levels: dict[str, dict[str, None]] = {}
        self.left_out: dict[str, str] = {}

    def take(self, sample: Sample) -> dict[str, str]:
        """Note a sample's labels and return them as text; missing ones and columns left out are not in it.

        Raises:
            InvalidInput: code `not_a_factor`: a wanted column holds what cannot be a level, or too many levels.
        """
        labels: dict[str, str] = {}
        for column, value in sample.labels.items():
            if column in self.left_out or (self._wanted is not None and column not in self._wanted):
                continue
            levels = self._levels.setdefault(column, {})
            text, fault = _level(value)
            if text and text not in levels and len(levels) == MAX_LEVELS:
                fault = f"it has more than {MAX_LEVELS} different values; a factor has at most that many levels"
            if fault:
                self._leave_out(column, fault, sample.where)
            elif text:
                levels[text] = None
                labels[column] = text
        return labels

    def _leave_out(self, column: str, fault: str, where: str) -> None:
        if self._wanted is not None:
            raise InvalidInput(
                f"{where}, column {column!r} cannot be a factor: {fault}; make levels of it, or leave it out of labels",
                code="not_a_factor",
                param=column,
            )
        self.left_out[column] = fault
        del self._levels[column]

    def check_named(self) -> None:
        """Refuse wanted columns that no sample had.

        Raises:
            InvalidInput: code `missing_column`.
        """
        missing = [column for column in self._wanted or () if column not in self._levels]
        if missing:
            raise InvalidInput(
                f"no sample has a label {missing[0]!r}; name columns that are there, or let labels be empty",
                code="missing_column",
                param=missing[0],
            )

    def factors(self) -> dict[str, tuple[str, ...]]:
        """Column -> its levels, numbers in order of size, of every column with at least two."""
        for column, levels in self._levels.items():
            if len(levels) < 2:
                self.left_out[column] = f"it has {len(levels)} different value(s); a factor has at least 2 levels"
        return {column: _sorted(levels) for column, levels in self._levels.items() if len(levels) >= 2}


def _level(value: object) -> tuple[str, str]:
    """A level's name and what is wrong with it; both empty where the label is missing."""
    if value is None:
        return "", ""
    if isinstance(value, bool):
        return str(value).lower(), ""
    if isinstance(value, int):
        return str(value), ""
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _MAX_CHARACTERS:
            return "", f"a value has {len(text)} characters, a level's name at most {_MAX_CHARACTERS}"
        return text, ""
    if isinstance(value, float):
        return ("", "") if math.isnan(value) else ("", "it holds fractions, and levels have names")
    return "", f"it holds a {type(value).__name__}"


def _sorted(levels: Mapping[str, None]) -> tuple[str, ...]:
    try:
        return tuple(sorted(levels, key=lambda text: (float(text), text)))
    except ValueError:
        return tuple(sorted(levels))
