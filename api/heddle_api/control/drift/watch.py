"""Watch: every hour the versions in production are judged, and who has drifted is told to its tenant's webhooks.

Of several planes one does it; a version is told of once in a day, in the transaction that notes so.
"""

import asyncio
from itertools import groupby
from typing import Final

import structlog

from heddle_api.control.context import Control
from heddle_api.control.drift import service
from heddle_infra.database import drift, platform_notes
from heddle_infra.database.drift_told import forget_told, tell_once
from heddle_platform.drift import USUAL_HOURS
from heddle_platform.errors import Unavailable

EVERY_SECONDS: Final = 3_600.0
_LOOK_SECONDS: Final = 300.0  # how often a plane asks whether it is its turn
_AT_ONCE: Final = 50
_TURN: Final = "drift_turn"

_log = structlog.get_logger(__name__)


async def watch_drift(control: Control) -> None:
    """Judge for ever; several planes may do so at once."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            async with control.ports.database.platform_transaction() as session:
                turn = await platform_notes.take_turn(session, _TURN, every_seconds=EVERY_SECONDS)
                await forget_told(session)
            if turn:
                await tell_drifted(control)
        except Unavailable as error:
            _log.warning("drift_watch_waits", reason=error.message)
        except Exception as error:
            _log.error("drift_watch_failed", exc_info=error)


async def tell_drifted(control: Control) -> int:
    """Judge every version in production that edits, and tell of those that have drifted; return how many were told."""
    told, after = 0, None
    while True:
        async with control.ports.database.platform_transaction() as session:
            versions = await drift.edited(session, hours=USUAL_HOURS, limit=_AT_ONCE, after=after)
        if not versions:
            return told
        for tenant_id, own in groupby(sorted(versions), key=lambda one: one[0]):
            told += await _tell(control, tenant_id, [(adapter_id, version) for _, adapter_id, version in own])
        after = versions[-1][1:]


async def _tell(control: Control, tenant_id: str, versions: list[tuple[str, int]]) -> int:
    async with control.ports.database.transaction(tenant_id) as session:
        views = await service.look(session, tenant_id, versions, window_hours=USUAL_HOURS)
    told = 0
    for view in views:
        if view.verdict == "drifted":
            document = view.model_dump(mode="json")
            async with control.ports.database.transaction(tenant_id) as session:
                if await tell_once(session, tenant_id, view.adapter_id, view.version, document):
                    _log.info("adapter_drifted", tenant_id=tenant_id, adapter=f"{view.adapter}@{view.version}")
                    told += 1
    return told
