"""Arrays: many values as one parameter.

`column in (...)` is another statement for every number of values, which SQLAlchemy compiles and PostgreSQL plans anew;
an array is one statement for all.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, String, any_, literal


def texts(values: Iterable[str]) -> ColumnElement[Any]:
    """Return an array of texts as one parameter."""
    return literal(list(values), ARRAY(String))


def among(column: Any, values: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that a column is one of these."""
    return column == any_(texts(values))  # type: ignore[no-any-return]
