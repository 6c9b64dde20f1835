"""Platform notes: documents by name that processes of the platform leave for each other; the last one counts.

Dispatchers note what they see of the cluster, an operator's wish to reconcile waits here until a dispatcher takes it,
and what the reconciler found stands here until the next run. Call within a platform-wide transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.models import PlatformNoteRow

DISPATCHER: Final = "dispatcher/"
RECONCILIATION: Final = "reconciliation"
RECONCILIATION_WANTED: Final = "reconciliation_wanted"
RECONCILIATION_TURN: Final = "reconciliation_turn"


@dataclass(frozen=True)
class PlatformNote:
    """A document, and how old it is by the database's clock."""

    name: str
    document: dict[str, Any]
    written_at: datetime
    age_seconds: float


async def put(session: AsyncSession, name: str, document: Mapping[str, Any]) -> None:
    """Leave a note in the place of the one before."""
    values = {"document": dict(document), "written_at": func.now()}
    await session.execute(
        insert(PlatformNoteRow).values(name=name, **values).on_conflict_do_update(index_elements=["name"], set_=values)
    )


async def take_turn(session: AsyncSession, name: str, *, every_seconds: float) -> bool:
    """Tell whether it is this caller's turn: of all who ask, one is told so once in `every_seconds`."""
    old = PlatformNoteRow.written_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, every_seconds)
    taken = await session.scalar(
        insert(PlatformNoteRow)
        .values(name=name, document={})
        .on_conflict_do_update(index_elements=["name"], set_={"written_at": func.now()}, where=old)
        .returning(PlatformNoteRow.name)
    )
    return taken is not None


async def take(session: AsyncSession, name: str) -> dict[str, Any] | None:
    """Take a note away, so that nobody else does what it asks for; None if there is none."""
    found = await session.execute(
        delete(PlatformNoteRow).where(PlatformNoteRow.name == name).returning(PlatformNoteRow.document)
    )
    row = found.first()
    return None if row is None else dict(row[0])


async def read(session: AsyncSession, prefix: str) -> list[PlatformNote]:
    """Return the notes whose name starts with `prefix`, newest first."""
    rows = await session.execute(
        select(PlatformNoteRow, func.extract("epoch", func.now() - PlatformNoteRow.written_at))
        .where(PlatformNoteRow.name.startswith(prefix, autoescape=True))
        .order_by(PlatformNoteRow.written_at.desc(), PlatformNoteRow.name)
        .execution_options(populate_existing=True)
    )
    return [PlatformNote(row.name, row.document, row.written_at, max(0.0, float(age))) for row, age in rows]


async def forget(session: AsyncSession, prefix: str, *, older_than_seconds: float) -> None:
    """Take away notes of those who have long been silent."""
    old = PlatformNoteRow.written_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, older_than_seconds)
    await session.execute(delete(PlatformNoteRow).where(PlatformNoteRow.name.startswith(prefix, autoescape=True), old))
