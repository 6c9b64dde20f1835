"""Faults of a document that people wrote, told by field: the first few, and how many more there are."""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import ValidationError

_MOST: Final = 5


def faults_of(error: ValidationError, whole: str) -> str:
    """The first faults that pydantic found; `whole` names the document where no field is at fault."""
    return first_faults([(fault["loc"], fault["msg"]) for fault in error.errors()], whole)


def first_faults(found: Sequence[tuple[Sequence[Any], str]], whole: str) -> str:
    """The first of faults given as (where, what)."""
    faults = [f"{'.'.join(str(part) for part in where) or whole}: {what}" for where, what in found]
    more = f" and {len(faults) - _MOST} more" if len(faults) > _MOST else ""
    return f"{'; '.join(faults[:_MOST])}{more}"
