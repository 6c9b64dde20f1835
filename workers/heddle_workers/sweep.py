"""Sweeping: what a tenant's rows no longer name is taken out of the store.

Not a list made beforehand, but whatever no row names goes: so it may be done again after a kill, and takes what earlier
attempts left behind as well. Only an erasure may do it, for while one runs no other job of its tenant does.
"""

import asyncio
from collections import Counter

from heddle_infra.database import erasures, exports
from heddle_infra.database.engine import Database
from heddle_platform import keys
from heddle_platform.ports import ObjectStore


async def sweep(database: Database, objects: ObjectStore, tenant_id: str) -> dict[str, int]:
    """Delete the sets, latents and adapters that no row of the tenant names, and uploads that sets were made of.

    Returns:
        Folder -> how many objects of it went.
    """
    async with database.transaction(tenant_id) as session:
        sets, adapters = await erasures.digests_named(session, tenant_id)
        kept = await exports.kept(session, tenant_id)
        raw = {keys.upload(tenant_id, upload) for upload in await erasures.decided_uploads(session, tenant_id)}
    named = {"datasets": sets, "latents": sets, "adapters": adapters, "exports": kept}

    def delete() -> dict[str, int]:
        gone: Counter[str] = Counter()
        for info in list(objects.list(keys.tenant_prefix(tenant_id))):
            place = keys.addressed(tenant_id, info.key)
            of = keys.evaluated(info.key)
            unnamed = place is not None and (place[1] not in named[place[0]] or (of is not None and of not in adapters))
            # archives of attempts that were killed
            scratch = info.key.startswith((keys.upload(tenant_id, "era_"), keys.upload(tenant_id, "job_")))
            if scratch or info.key in raw or unnamed:
                objects.delete(info.key)
                gone[place[0] if place else "uploads"] += 1
        return dict(gone)

    return await asyncio.to_thread(delete)
