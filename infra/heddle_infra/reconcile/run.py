"""One run of the reconciler over everything; safe beside running writers, and holding no state: kill it anywhere."""

import asyncio
import time
from datetime import UTC, datetime

import structlog

from heddle_infra.database import inventory
from heddle_infra.database.engine import Database
from heddle_infra.reconcile.findings import Finding, Reconciliation
from heddle_infra.reconcile.owner import Seen, grace_ends, hold_tenant
from heddle_infra.reconcile.shared import hold_shared
from heddle_platform import keys
from heddle_platform.errors import Unavailable
from heddle_platform.ports import ObjectStore

log = structlog.get_logger()


async def reconcile(
    database: Database,
    objects: ObjectStore,
    *,
    grace_seconds: float,
    lease_grace_seconds: float = 60.0,
    repair: bool = False,
) -> Reconciliation:
    """Hold rows and objects against each other.

    Args:
        database, objects: truth and blobs.
        grace_seconds: what is younger is not judged; longer than any request may take.
        lease_grace_seconds: how long a lease may be over before that is a finding.
        repair: delete orphans. Rows are never changed: a row without its object tells what was lost.

    Raises:
        Unavailable: the database or the store cannot be reached at all; single tenants that failed are counted.
    """
    began_at, start = datetime.now(UTC), time.monotonic()
    before = grace_ends(began_at, grace_seconds)
    folders = await asyncio.to_thread(lambda: list(objects.folders(keys.TENANTS)))
    async with database.platform_transaction() as session:
        known = await inventory.tenant_ids(session)
    owners = sorted({*known, *(folder.removeprefix(keys.TENANTS).strip("/") for folder in folders)})
    seen, unreached = Seen(), 0
    for tenant_id in owners:
        try:
            await hold_tenant(database, objects, tenant_id, seen, before=before, repair=repair)
        except Unavailable as error:
            unreached += 1
            log.warning("tenant_not_reconciled", tenant_id=tenant_id, detail=error.message)
    await hold_shared(database, objects, seen, before=before, repair=repair)
    async with database.platform_transaction() as session:
        contradicted = await inventory.contradictions(session, lease_grace_seconds=lease_grace_seconds)
    seen.findings += [
        Finding.model_validate({"kind": kind, "tenant_id": tenant_id, "subject": row_id, "detail": sentence})
        for kind, tenant_id, row_id, sentence in contradicted
    ]
    return Reconciliation(
        began_at=began_at,
        seconds=round(time.monotonic() - start, 3),
        tenants=len(owners),
        objects=seen.objects,
        rows=seen.rows,
        kept_young=seen.kept_young,
        unreached=unreached,
        findings=tuple(seen.findings),
    )
