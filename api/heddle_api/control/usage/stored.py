"""Stored bytes are not counted as they come and go but looked at, every few minutes; an hour keeps the most of it.

Uploads that nobody made a set of are forgotten here too, for they would fill their tenant's quota for ever, and so
are the drift monitor's oldest hours.
"""

import asyncio
from typing import Final

import structlog

from heddle_api.control.context import Control
from heddle_api.control.uploads.service import object_key
from heddle_infra.database import drift, uploads, usage
from heddle_platform.errors import Unavailable
from heddle_platform.ports import ObjectStore
from heddle_platform.records import Upload

_EVERY_SECONDS: Final = 300.0
_RETRY_SECONDS: Final = 5.0
_FORGET_AT_ONCE: Final = 100

_log = structlog.get_logger(__name__)


async def note_stored_bytes(control: Control) -> None:
    """Note what every tenant holds, for ever; several planes may do so at once."""
    while True:
        pause = _EVERY_SECONDS
        try:
            async with control.ports.database.platform_transaction() as session:
                await usage.note_stored_bytes(session)
                await usage.forget_sources(session)
                await drift.forget_old(session)
            await forget_abandoned_uploads(control)
        except Unavailable as error:
            _log.warning("stored_bytes_wait", reason=error.message)
            pause = _RETRY_SECONDS
        except Exception as error:
            _log.error("stored_bytes_failed", exc_info=error)
        await asyncio.sleep(pause)


async def forget_abandoned_uploads(control: Control) -> int:
    """Delete what was uploaded, or begun to be, and never used; return how many uploads that was."""
    async with control.ports.database.platform_transaction() as session:
        gone = await uploads.abandon(session, most=_FORGET_AT_ONCE)
        for upload in gone:
            await asyncio.to_thread(_delete, control.objects, upload)
    if gone:
        _log.info("uploads_abandoned", uploads=len(gone))
    return len(gone)


def _delete(objects: ObjectStore, upload: Upload) -> None:
    key = object_key(upload.tenant_id, upload.id)
    if upload.status == "open":
        objects.abort_multipart(key, upload.multipart_id)
    objects.delete(key)
