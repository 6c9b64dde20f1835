"""One tenant held against the store: what is there without a row, and rows without what they point at.

Writers run meanwhile. An object is written before its row, so the store is listed first and rows are read after it;
what has no row then, but is younger than the grace or than a job that still runs, is not judged. A row whose object
was not listed is asked for by name before it is called broken.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from heddle_infra.database import inventory, queue
from heddle_infra.database.engine import Database
from heddle_infra.database.inventory import Named
from heddle_infra.reconcile.findings import Finding
from heddle_platform import keys
from heddle_platform.ports import ObjectInfo, ObjectStore, OpenMultipart

_BATCH = 50  # deletions under one lock: claims wait for it, so it is held for a moment only


@dataclass
class Seen:
    """What was seen and found, of one owner or of several."""

    objects: int = 0
    rows: int = 0
    kept_young: int = 0
    findings: list[Finding] = field(default_factory=list)


async def hold_tenant(
    database: Database, objects: ObjectStore, tenant_id: str, seen: Seen, *, before: datetime, repair: bool
) -> None:
    """Add what does not fit of one tenant to `seen`.

    Args:
        database, objects: where.
        tenant_id: whose; a tenant that no row knows any more owns nothing.
        seen: takes counts and findings.
        before: what was written later is not judged.
        repair: delete orphans of kinds that this code writes, unless the tenant has a job running.
    """
    prefix = keys.tenant_prefix(tenant_id)
    listed, begun = await asyncio.to_thread(lambda: (list(objects.list(prefix)), list(objects.open_multiparts(prefix))))
    async with database.platform_transaction() as session:
        named = await inventory.of_tenant(session, tenant_id)
    seen.objects += len(listed)
    seen.rows += len(named.needed)
    unnamed = [info for info in listed if not named.names(tenant_id, info.key)]
    loose = [upload for upload in begun if upload.multipart_id not in named.multiparts]
    orphans = [info for info in unnamed if _judged(info.modified_at, named, before)]
    orphan_uploads = [upload for upload in loose if _judged(upload.begun_at, named, before)]
    seen.kept_young += len(unnamed) + len(loose) - len(orphans) - len(orphan_uploads)
    gone = set[str]()
    if repair and (orphans or orphan_uploads) and not named.running:
        known = [info for info in orphans if keys.is_known(tenant_id, info.key)]
        gone = await _take_away(database, objects, tenant_id, known, orphan_uploads, before)
    seen.findings += [
        Finding(
            kind="orphan_object",
            tenant_id=tenant_id,
            subject=info.key,
            detail=f"{info.size} bytes that no row names",
            repaired=info.key in gone,
        )
        for info in orphans
    ]
    seen.findings += [
        Finding(
            kind="orphan_multipart",
            tenant_id=tenant_id,
            subject=upload.key,
            detail="parts of an upload that nobody can complete any more",
            repaired=upload.multipart_id in gone,
        )
        for upload in orphan_uploads
    ]
    seen.findings += await _missing(database, objects, tenant_id, named, {info.key for info in listed})


def _judged(written_at: datetime | None, named: Named, before: datetime) -> bool:
    if written_at is None or written_at >= before:
        return False
    return named.working_since is None or written_at < named.working_since


async def _missing(
    database: Database, objects: ObjectStore, tenant_id: str, named: Named, listed: set[str]
) -> list[Finding]:
    suspects = [key for key in named.needed if key not in listed]
    absent = await asyncio.to_thread(lambda: [key for key in suspects if objects.head(key) is None])
    if not absent:
        return []
    async with database.platform_transaction() as session:  # an erasure or a validation may have ended meanwhile
        still = (await inventory.of_tenant(session, tenant_id)).needed
    return [
        Finding(kind="object_missing", tenant_id=tenant_id, subject=key, detail=f"{still[key]} points at nothing")
        for key in absent
        if key in still
    ]


async def _take_away(
    database: Database,
    objects: ObjectStore,
    tenant_id: str,
    orphans: Iterable[ObjectInfo],
    uploads: Iterable[OpenMultipart],
    before: datetime,
) -> set[str]:
    """Delete what is still an orphan while no job of anybody can be claimed, so that no fit meets half of it."""
    gone = set[str]()
    left: list[ObjectInfo | OpenMultipart] = [*orphans, *uploads]
    for start in range(0, len(left), _BATCH):
        async with database.platform_transaction() as session:
            await queue.hold_claims(session)
            named = await inventory.of_tenant(session, tenant_id)
            if named.running:  # claimed since: content-addressed objects may be found there and relied upon
                return gone
            gone |= await asyncio.to_thread(_delete, objects, tenant_id, named, left[start : start + _BATCH], before)
    return gone


def _delete(
    objects: ObjectStore, tenant_id: str, named: Named, batch: list[ObjectInfo | OpenMultipart], before: datetime
) -> set[str]:
    gone = set[str]()
    for one in batch:
        if isinstance(one, OpenMultipart):
            if one.multipart_id not in named.multiparts:
                objects.abort_multipart(one.key, one.multipart_id)
                gone.add(one.multipart_id)
            continue
        now = objects.head(one.key)
        if now is None or (not named.names(tenant_id, one.key) and _judged(now.modified_at, named, before)):
            objects.delete(one.key)
            gone.add(one.key)
    return gone


def grace_ends(now: datetime, grace_seconds: float) -> datetime:
    """Return the moment before which something must have been written to be judged at `now`."""
    return now - timedelta(seconds=grace_seconds)
