"""Rows of a labelled set, as registering an upload leaves them; its bytes and its validation are the caller's."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import datasets, uploads
from heddle_platform.ids import new_id
from heddle_platform.records import Dataset, FactorSetVersion


async def set_rows(
    session: AsyncSession,
    factors: FactorSetVersion,
    *,
    name: str = "set",
    upload_id: str | None = None,
    size_bytes: int = 1,
    sha256: str = "0" * 64,
) -> Dataset:
    """Write the rows of an upload and of a set made of it, both of the factor set's tenant.

    Args:
        session: open session.
        factors: what the set is labelled by.
        name: of the set.
        upload_id: of the upload; None: a new one.
        size_bytes, sha256: of the uploaded file.
    """
    upload = upload_id or new_id("up")
    await uploads.create(
        session,
        factors.tenant_id,
        upload_id=upload,
        filename="set.zip",
        size_bytes=size_bytes,
        sha256=sha256,
        multipart_id="none",
        part_count=1,
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )
    return await datasets.create(
        session,
        factors.tenant_id,
        name=name,
        factor_set_id=factors.id,
        factor_set_version=factors.version,
        upload_id=upload,
    )
