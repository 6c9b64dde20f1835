"""Keyset pagination: newest first, ids being time-ordered, `after` the last id of the page before."""

from typing import Any, TypeVar

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

Row = TypeVar("Row")


async def page(
    session: AsyncSession, query: Select[Row], id_column: Any, *, limit: int, after: str | int | None
) -> tuple[list[Row], bool]:
    """Run `query` for one page.

    Args:
        session: open session.
        query: selects rows of one table, filtered by tenant already.
        id_column: the column that orders the pages.
        limit: most rows to return, 1 or more.
        after: id of the last row seen, or None for the first page.

    Returns:
        The rows, newest first, and whether there are more.
    """
    if after is not None:
        query = query.where(id_column < after)
    rows = list((await session.scalars(query.order_by(id_column.desc()).limit(limit + 1))).all())
    return rows[:limit], len(rows) > limit
