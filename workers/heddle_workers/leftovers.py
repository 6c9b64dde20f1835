"""Leftovers: uploads whose set was decided on, but whose bytes outlived a dispatcher that was killed just then."""

import asyncio

import structlog

from heddle_infra.database import uploads
from heddle_infra.database.engine import Database
from heddle_platform import keys
from heddle_platform.ports import ObjectStore

log = structlog.get_logger()


async def forget_decided_uploads(database: Database, objects: ObjectStore) -> int:
    """Delete the bytes of uploads whose labelled set is ready or rejected; return how many were still there."""
    async with database.platform_transaction() as session:
        decided = await uploads.decided(session)

    def forget() -> int:
        found = 0
        for upload in decided:
            if upload.tenant_id is None:
                continue
            key = keys.upload(upload.tenant_id, upload.id)
            if objects.head(key) is not None:
                objects.delete(key)
                found += 1
        return found

    found = await asyncio.to_thread(forget)
    if found:
        log.info("uploads_forgotten", uploads=found)
    return found
