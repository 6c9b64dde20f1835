"""Routes of uploads: `/v1/uploads`, for tenants (labelled sets) and operators (bases)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from heddle_api.auth import Principal, require
from heddle_api.control.once import OncePost
from heddle_api.control.uploads import service
from heddle_api.control.uploads.service import CompletedParts, NewUpload, StartedUpload, UploadView

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])
UploadKey = Annotated[Principal, Depends(require("data", "admin"))]


@router.post("", status_code=201, response_model=StartedUpload, summary="Begin an upload")
async def start_upload(body: NewUpload, caller: UploadKey, post: OncePost) -> Response:
    """Announce bytes and get one presigned URL per part: PUT each part there, then complete the upload."""
    return await post.once(caller, lambda session: service.start(session, post.control, caller.tenant_id, body))


@router.post("/{upload_id}/complete", response_model=UploadView, summary="Complete an upload")
async def complete_upload(upload_id: str, body: CompletedParts, caller: UploadKey, post: OncePost) -> Response:
    """Put the parts together; the size is checked now, the SHA-256 when the bytes are first read."""
    return await post.once(
        caller, lambda session: service.complete(session, post.control, caller.tenant_id, upload_id, body)
    )
