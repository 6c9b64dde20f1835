"""Uploads: parts are announced, signed, sent straight to the object store, and put together.

Completion compares the assembled size with the announced one. The SHA-256 is compared where the bytes are read
anyway, in the validation job or when a base is published: reading two gigabytes here would block the plane.
"""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.control.context import Control
from heddle_api.control.once import Reply
from heddle_api.control.wire import Asked, DisplayName
from heddle_infra.database import quotas, uploads, usage
from heddle_platform import keys
from heddle_platform.errors import Conflict, InvalidInput, NotFound, TooLarge
from heddle_platform.ids import new_id
from heddle_platform.ports import ObjectInfo, Part
from heddle_platform.records import Upload, UploadStatus
from heddle_platform.usage import Slot, hour_of

MAX_PARTS: Final = 10_000  # S3's own bound

_DIGEST_EXAMPLE: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class NewUpload(Asked):
    """Bytes to be sent."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"filename": "avatars.zip", "bytes": 1048576, "sha256": _DIGEST_EXAMPLE}]},
    )
    filename: DisplayName = Field(description="For people; its ending decides nothing.")
    bytes: int = Field(ge=1, description="Exact size.")
    sha256: Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9a-fA-F]{64}$")] = Field(
        description="SHA-256 of all bytes, 64 hexadecimal digits."
    )


class PartToSend(BaseModel):
    """Where one part goes: PUT its bytes to `url` with `headers` and keep the ETag of the answer."""

    number: int
    url: str
    headers: dict[str, str]
    first_byte: int = Field(description="Where in the file the part starts.")
    bytes: int = Field(description="How long the part is; of a single one no other length is taken.")


class StartedUpload(BaseModel):
    """An upload that waits for its parts."""

    id: str
    status: UploadStatus
    parts: list[PartToSend]
    expires_at: datetime


class SentPart(Asked):
    """A part that arrived, with the ETag the object store answered."""

    number: int = Field(ge=1, le=MAX_PARTS)
    etag: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]


class CompletedParts(Asked):
    """All parts of an upload."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"parts": [{"number": 1, "etag": '"d41d8cd98f00b204e9800998ecf8427e"'}]}]},
    )
    parts: list[SentPart] = Field(min_length=1, max_length=MAX_PARTS)


class UploadView(BaseModel):
    """An upload."""

    id: str
    filename: str
    bytes: int
    sha256: str
    status: UploadStatus
    expires_at: datetime
    created_at: datetime


def object_key(tenant_id: str | None, upload_id: str) -> str:
    """Return where the bytes of an upload lie; `tenant_id` None: an operator's."""
    return keys.operator_upload(upload_id) if tenant_id is None else keys.upload(tenant_id, upload_id)


async def start(session: AsyncSession, control: Control, tenant_id: str | None, wanted: NewUpload) -> Reply:
    """Begin a multipart upload and sign one URL for each part.

    Raises:
        TooLarge: code `upload_too_large`.
        QuotaExceeded: code `quota_exceeded`.
    """
    limits = control.settings.limits
    if wanted.bytes > limits.upload_max_bytes:
        raise TooLarge(
            f"the upload has {wanted.bytes} bytes, at most {limits.upload_max_bytes} are taken; split the set",
            code="upload_too_large",
            param="bytes",
        )
    if tenant_id is not None:
        await quotas.reserve(session, tenant_id, control.settings.quotas, {"bytes": wanted.bytes})
    upload_id = new_id("up")
    key = object_key(tenant_id, upload_id)
    starts = range(0, wanted.bytes, limits.upload_part_bytes)
    expires_at = datetime.now(UTC) + timedelta(seconds=limits.upload_ttl_seconds)
    multipart_id = await asyncio.to_thread(control.objects.start_multipart, key)
    try:
        parts = await asyncio.to_thread(_sign, control, key, multipart_id, starts, wanted.bytes)
        upload = await uploads.create(
            session,
            tenant_id,
            upload_id=upload_id,
            filename=wanted.filename,
            size_bytes=wanted.bytes,
            sha256=wanted.sha256,
            multipart_id=multipart_id,
            part_count=len(starts),
            expires_at=expires_at,
        )
    except BaseException:
        await asyncio.to_thread(control.objects.abort_multipart, key, multipart_id)
        raise
    return Reply(StartedUpload(id=upload.id, status=upload.status, parts=parts, expires_at=expires_at), 201)


def _sign(control: Control, key: str, multipart_id: str, starts: range, size: int) -> list[PartToSend]:
    lifetime = control.settings.limits.upload_ttl_seconds
    # what a tenant's quota was asked for is all that is stored, whatever is sent. Of several parts only the sum is
    # agreed on: clients may divide the file otherwise than we propose
    alone = size if len(starts) == 1 else None
    return [
        PartToSend(
            number=number,
            url=control.objects.presign_part(key, multipart_id, number, expires_seconds=lifetime, size=alone),
            headers={},
            first_byte=start,
            bytes=min(starts.step, size - start),
        )
        for number, start in enumerate(starts, 1)
    ]


async def complete(
    session: AsyncSession, control: Control, tenant_id: str | None, upload_id: str, sent: CompletedParts
) -> Reply:
    """Put the parts together.

    Raises:
        NotFound: code `unknown_upload`.
        Conflict: codes `upload_not_open`, `upload_expired`, `upload_gone`.
        InvalidInput: codes `invalid_parts`, `size_mismatch`.
    """
    upload = await uploads.advance(session, tenant_id, upload_id, expected="open", to="complete")
    if upload.expires_at <= datetime.now(UTC):
        raise Conflict(
            f"upload {upload_id} expired at {upload.expires_at.isoformat()}; begin a new one",
            code="upload_expired",
            param="upload",
        )
    parts = _check_parts(upload, sent)
    assembled = await asyncio.to_thread(_assemble, control, upload, parts)
    if assembled.size != upload.bytes:
        await asyncio.to_thread(control.objects.delete, assembled.key)
        raise InvalidInput(
            f"the parts have {assembled.size} bytes together, the upload was announced with {upload.bytes}; "
            "begin a new upload",
            code="size_mismatch",
            param="bytes",
        )
    if tenant_id is not None:
        hour = hour_of(datetime.now(UTC))
        await usage.add(session, {Slot(tenant_id, hour, "bytes_uploaded"): upload.bytes})
    return Reply(view(upload))


def _check_parts(upload: Upload, sent: CompletedParts) -> list[Part]:
    numbers = sorted(part.number for part in sent.parts)
    if numbers != list(range(1, upload.part_count + 1)):
        raise InvalidInput(
            f"{len(numbers)} part(s) were sent with the numbers {_short(numbers)}; the upload has "
            f"{upload.part_count}, numbered 1 to {upload.part_count}, each once",
            code="invalid_parts",
            param="parts",
        )
    return [Part(part.number, part.etag) for part in sorted(sent.parts, key=lambda part: part.number)]


def _short(numbers: list[int]) -> str:
    return ", ".join(str(number) for number in numbers[:10]) + (", ..." if len(numbers) > 10 else "")


def _assemble(control: Control, upload: Upload, parts: list[Part]) -> ObjectInfo:
    key = object_key(upload.tenant_id, upload.id)
    # not found: put together by a request whose transaction was lost, perhaps; the object itself tells
    with contextlib.suppress(NotFound):
        control.objects.complete_multipart(key, upload.multipart_id, parts)
    info = control.objects.head(key)
    if info is None:
        raise Conflict(
            f"the parts of upload {upload.id} are gone; begin a new upload", code="upload_gone", param="upload"
        )
    return info


def view(upload: Upload) -> UploadView:
    """Return what is shown of an upload."""
    return UploadView.model_validate(upload, from_attributes=True)
