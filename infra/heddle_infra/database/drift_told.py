"""Who has been told of a version's drift: its tenant's webhooks, once in a day, whoever found it."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import outbox, platform_notes
from heddle_infra.database.walls import platform_scope

_DAY_SECONDS: Final = 86_400.0
_TOLD: Final = "drifted/"


async def tell_once(
    session: AsyncSession, tenant_id: str, adapter_id: str, version: int, document: Mapping[str, Any]
) -> bool:
    """Tell a tenant's webhooks that a version in production has drifted, unless they were told within a day.

    Args:
        session: open session; the note and the event are written in its transaction.
        tenant_id: owner.
        adapter_id, version: which.
        document: what `GET /v1/drift` says of it.

    Returns:
        Whether they were told now.
    """
    async with platform_scope(session):  # the notes are the platform's
        told = await platform_notes.take_turn(session, f"{_TOLD}{adapter_id}/{version}", every_seconds=_DAY_SECONDS)
        if told:
            await outbox.emit(session, tenant_id, "adapter.drifted", dict(document))
    return told


async def forget_told(session: AsyncSession) -> None:
    """Forget whom was told of longer ago than matters; in a platform-wide transaction."""
    await platform_notes.forget(session, _TOLD, older_than_seconds=2 * _DAY_SECONDS)
