"""What belongs to no tenant held against the store: bases, operators' uploads, files of trainings and sweeps, probes.

Nothing of it is claimed from the queue, so nothing tells when its writers are at rest: it is reported, and only what
cannot come back by itself is taken away (probes, files of trainings that are over, uploads without a row).
"""

import asyncio
from datetime import datetime

from heddle_infra.database import inventory
from heddle_infra.database.engine import Database
from heddle_infra.reconcile.findings import Finding
from heddle_infra.reconcile.owner import Seen
from heddle_platform import keys
from heddle_platform.ports import ObjectInfo, ObjectStore


async def hold_shared(database: Database, objects: ObjectStore, seen: Seen, *, before: datetime, repair: bool) -> None:
    """Add what does not fit of the shared prefixes to `seen`; see `owner.hold_tenant`."""
    prefixes = (keys.BASES, keys.OPERATOR, keys.PROBES)
    listed, begun = await asyncio.to_thread(
        lambda: (
            [info for prefix in prefixes for info in objects.list(prefix)],
            list(objects.open_multiparts(keys.OPERATOR)),
        )
    )
    async with database.platform_transaction() as session:
        bases = await inventory.of_bases(session)
        uploads, multiparts, job_prefixes = await inventory.of_operators(session)
    seen.objects += len(listed)
    seen.rows += len(bases)
    base_folders = {key.rpartition("/")[0] for key in bases}
    of_jobs = tuple(job_prefixes)

    def named(info: ObjectInfo) -> bool:
        folder = info.key.rpartition("/")[0]
        return folder in base_folders or info.key in uploads or info.key.startswith(of_jobs)

    def delete(key: str) -> bool:
        if repair and not key.startswith(keys.BASES):
            objects.delete(key)
            return True
        return False

    for info in listed:
        if named(info):
            continue
        if info.modified_at is None or info.modified_at >= before:
            seen.kept_young += 1
            continue
        gone = await asyncio.to_thread(delete, info.key)
        detail = f"{info.size} bytes that no row names"
        seen.findings.append(
            Finding(kind="orphan_object", tenant_id=None, subject=info.key, detail=detail, repaired=gone)
        )
    for upload in begun:
        if upload.multipart_id in multiparts or upload.begun_at is None or upload.begun_at >= before:
            continue
        if repair:
            await asyncio.to_thread(objects.abort_multipart, upload.key, upload.multipart_id)
        detail = "parts of an upload that nobody can complete any more"
        seen.findings.append(
            Finding(kind="orphan_multipart", tenant_id=None, subject=upload.key, detail=detail, repaired=repair)
        )
    present = {info.key for info in listed}
    for key, row in bases.items():
        if key not in present and await asyncio.to_thread(objects.head, key) is None:
            seen.findings.append(
                Finding(kind="object_missing", tenant_id=None, subject=key, detail=f"{row} points at nothing")
            )
