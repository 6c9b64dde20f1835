"""Uploads: what a tenant announced to send, and whether it arrived."""

from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.models import DatasetRow, UploadRow
from heddle_platform.errors import Conflict, NotFound
from heddle_platform.records import Upload, UploadStatus


async def create(
    session: AsyncSession,
    tenant_id: str | None,
    *,
    upload_id: str,
    filename: str,
    size_bytes: int,
    sha256: str,
    multipart_id: str,
    part_count: int,
    expires_at: datetime,
) -> Upload:
    """Note an upload that was begun in the object store; `upload_id` was made by the caller for its key."""
    row = UploadRow(
        id=upload_id,
        tenant_id=tenant_id,
        filename=filename,
        bytes=size_bytes,
        sha256=sha256,
        multipart_id=multipart_id,
        part_count=part_count,
        expires_at=expires_at,
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return Upload.model_validate(row)


async def get(session: AsyncSession, tenant_id: str | None, upload_id: str, *, lock: bool = False) -> Upload:
    """Return an upload of the tenant (None: an operator's); `lock` holds its row until the transaction ends.

    Raises:
        NotFound: code `unknown_upload`.
    """
    query = select(UploadRow).where(UploadRow.id == upload_id, UploadRow.tenant_id.is_not_distinct_from(tenant_id))
    row = await session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no upload {upload_id[:60]!r}", code="unknown_upload", param="upload")
    return Upload.model_validate(row)


async def decided(session: AsyncSession) -> list[Upload]:
    """Return the uploads of the last days that a labelled set was made of or refused for; their bytes may go."""
    rows = await session.scalars(
        select(UploadRow)
        .join(DatasetRow, DatasetRow.upload_id == UploadRow.id)
        .where(DatasetRow.status != "validating", UploadRow.created_at > func.now() - timedelta(days=3))
    )
    return [Upload.model_validate(row) for row in rows.all()]


async def abandon(session: AsyncSession, *, most: int) -> list[Upload]:
    """Delete the rows of tenants' uploads that no set was made of within a day of their end; return them.

    Their objects are the caller's to delete, before the commit: what goes on counting against a quota until its row
    is gone must be gone by then.
    """
    rows = (
        await session.scalars(
            select(UploadRow)
            .where(
                UploadRow.tenant_id.is_not(None),
                UploadRow.status.in_(("open", "complete")),
                UploadRow.expires_at < func.now() - timedelta(days=1),
            )
            .order_by(UploadRow.id)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
    ).all()
    await session.execute(delete(UploadRow).where(UploadRow.id.in_([row.id for row in rows])))
    return [Upload.model_validate(row) for row in rows]


async def advance(
    session: AsyncSession, tenant_id: str | None, upload_id: str, *, expected: UploadStatus, to: UploadStatus
) -> Upload:
    """Move an upload from one status to the next, once.

    Raises:
        NotFound: code `unknown_upload`.
        Conflict: code `upload_not_<expected>`: it is not in the expected status.
    """
    upload = await get(session, tenant_id, upload_id, lock=True)
    if upload.status != expected:
        raise Conflict(
            f"upload {upload_id} is {upload.status}, it must be {expected}",
            code=f"upload_not_{expected}",
            param="upload",
        )
    await session.execute(update(UploadRow).where(UploadRow.id == upload_id).values(status=to))
    return upload.model_copy(update={"status": to})
