"""Exports: jobs that put files of versions into one archive, and the archives that a tenant keeps.

A tenant keeps the archives of its newest exports; a job whose archive went says so.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import bases, jobs
from heddle_infra.database.models import JobRow
from heddle_infra.database.referred import referred
from heddle_platform.errors import InvalidInput
from heddle_platform.records import Adapter, AdapterVersion, Base, ExportFormat, Job

KEPT: Final = 10
"""Archives that a tenant keeps."""


@dataclass(frozen=True)
class Exported:
    """A version to be exported, and the base that it was fitted on."""

    adapter: Adapter
    version: AdapterVersion
    base: Base


async def resolve(session: AsyncSession, tenant_id: str, references: Sequence[str]) -> list[Exported]:
    """Resolve the versions that an export is of.

    Args:
        session: open session.
        tenant_id: owner.
        references: see `referred.referred`.

    Raises:
        NotFound: codes `unknown_adapter`, `unknown_version`, `unknown_alias`, `version_erased`.
        InvalidInput: code `named_twice`: two references mean the same version.
    """
    found: dict[tuple[str, int], str] = {}
    resolved = []
    for reference in references:
        adapter, version = await referred(session, tenant_id, reference)
        key = (adapter.id, version.version)
        if key in found:
            raise InvalidInput(
                f"{found[key]!r} and {reference!r} are both version {version.version} of {adapter.name}; name it once",
                code="named_twice",
                param="adapter",
            )
        found[key] = reference
        resolved.append(Exported(adapter, version, await bases.resolve(session, version.base_id)))
    return resolved


async def queue(
    session: AsyncSession, tenant_id: str, versions: Sequence[Exported], formats: Sequence[ExportFormat], priority: int
) -> Job:
    """Queue an export; see `resolve`."""
    spec: dict[str, Any] = {
        "versions": [
            {"adapter": one.adapter.name, "adapter_id": one.adapter.id, "version": one.version.version}
            for one in versions
        ],
        "formats": list(formats),
    }
    if len(versions) == 1:
        spec |= spec["versions"][0]
    return await jobs.create(
        session, tenant_id, job_type="export", spec=spec, dataset_id=None, status="queued", priority=priority
    )


async def kept(session: AsyncSession, tenant_id: str) -> set[str]:
    """Return ids of the tenant's exports whose archive is in the store."""
    return {row.id for row in await _kept(session, tenant_id)}


async def retire(session: AsyncSession, tenant_id: str) -> list[str]:
    """Let go of all archives but the `KEPT` newest; return ids of the exports, whose archives may be deleted then.

    Args:
        session: open session, in which the newest export was closed.
        tenant_id: owner.
    """
    rows = (await _kept(session, tenant_id, lock=True))[KEPT:]
    for row in rows:
        row.result = {**(row.result or {}), "archive": None, "gone": f"the archives of {KEPT} newer exports are kept"}
    await session.flush()
    return [row.id for row in rows]


async def forget(session: AsyncSession, erasure: Job, gone: Collection[tuple[str, int]]) -> None:
    """Let go of archives that hold erased versions, given as (adapter id, version).

    Args:
        session: open session; the caller holds the erasure's fence in it.
        erasure: the job.
        gone: what goes.
    """
    for row in await _kept(session, erasure.tenant, lock=True):
        if {(one["adapter_id"], one["version"]) for one in row.spec["versions"]} & set(gone):
            row.result = {"archive": None, "erased_by": erasure.id}
    await session.flush()


async def _kept(session: AsyncSession, tenant_id: str, *, lock: bool = False) -> Sequence[JobRow]:
    query = (
        select(JobRow)
        .where(JobRow.tenant_id == tenant_id, JobRow.type == "export")
        .where(JobRow.result["archive"]["url"].astext.is_not(None))
        .order_by(JobRow.finished_at.desc(), JobRow.id.desc())
    )
    # read anew: a job that this transaction closed was closed behind the session's back
    reading = {"populate_existing": True}
    return (await session.scalars(query.with_for_update() if lock else query, execution_options=reading)).all()
