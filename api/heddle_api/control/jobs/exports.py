"""Exports: versions' files asked for, and the address of the archive that was made of them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.auth import Principal
from heddle_api.control.context import Control
from heddle_api.control.jobs.service import queued
from heddle_api.control.jobs.views import NewExport
from heddle_api.control.once import Reply
from heddle_infra.database import exports, jobs, quotas
from heddle_infra.database.fair_share import USUAL_COST
from heddle_platform import keys
from heddle_platform.errors import NotFound

_LINK_SECONDS: Final = 900


class ArchiveView(BaseModel):
    """Where an archive can be read."""

    url: str = Field(description="Read it with a GET and no key; it is signed and ends at `expires_at`.")
    expires_at: datetime
    filename: str = Field(examples=["avatars-3.zip"])
    bytes: int
    sha256: str = Field(description="Of the archive; hold what you read against it.")


async def create(session: AsyncSession, control: Control, tenant_id: str, wanted: NewExport) -> Reply:
    """Queue an export; raises as `exports.resolve`.

    Raises:
        QuotaExceeded, RateLimited: code `quota_exceeded`.
    """
    await quotas.reserve(session, tenant_id, control.settings.quotas, {"queued_jobs": 1})
    versions = await exports.resolve(session, tenant_id, wanted.adapter)
    job = await exports.queue(session, tenant_id, versions, wanted.formats, wanted.priority)
    return await queued(session, control, job, USUAL_COST, calls="export_queued")


async def archive(control: Control, owner: Principal, job_id: str) -> ArchiveView:
    """Return the address of an export's archive.

    Raises:
        NotFound: codes `unknown_job`, `unknown_export`: it is no export, made nothing yet, or its archive is gone.
    """
    async with control.transaction(owner) as session:
        job = await jobs.get(session, owner.tenant_id, job_id)
    place = (job.result or {}).get("archive")
    if job.type != "export" or place is None:
        why = (job.result or {}).get("gone", "it holds no archive")
        raise NotFound(f"job {job_id} is of type {job.type} and {job.status}; {why}", code="unknown_export")
    key = keys.export(job.tenant, job.id, place["sha256"])
    expires_at = datetime.now(UTC) + timedelta(seconds=_LINK_SECONDS)
    url = await asyncio.to_thread(control.objects.presign_get, key, expires_seconds=_LINK_SECONDS)
    told = {name: place[name] for name in ("filename", "bytes", "sha256")}
    return ArchiveView(url=url, expires_at=expires_at, **told)
