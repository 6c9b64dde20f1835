"""Routes of batches: `/v1/edit_batches`."""

import json
from collections.abc import AsyncIterator
from typing import IO, Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from heddle_api.auth import Principal, require
from heddle_api.control.once import REPLAYED, AskedKey
from heddle_api.control.page import AskedPage, Page, page_of
from heddle_api.control.trail import AskedTrail
from heddle_api.edge.admission import Admission
from heddle_api.edge.batches import service
from heddle_api.edge.batches.parts import each
from heddle_api.edge.batches.service import MOST_IMAGES, BatchDetail, BatchService, BatchView
from heddle_api.edge.form import json_of, negotiate, read_form, text_of
from heddle_api.edge.multipart import Form
from heddle_platform.edits import EditRequest, parse_edit
from heddle_platform.errors import InvalidInput, TooLarge, Unavailable

router = APIRouter(prefix="/v1/edit_batches", tags=["edit batches"])
_CHUNK: Final = 256 * 1024
_MOST_EDITS: Final = 50
_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["image", "edits"],
    "properties": {
        "image": {"type": "array", "items": {"type": "string", "format": "binary"}, "description": "one file each"},
        "edits": {"type": "string", "description": "a JSON array of edits, each done to each image"},
        "accept": {
            "type": "string",
            "description": "type of the pictures, as an Accept header says it",
        },
    },
}


async def batch_service(request: Request) -> BatchService:
    """Take the service out of the lifespan state.

    Raises:
        Unavailable: code `batches_unavailable`: this edge was started without a database.
    """
    found: BatchService | None = request.state.batches
    if found is None:
        raise Unavailable("this edge keeps no batches; send edits one by one", code="batches_unavailable")
    return found


Editor = Annotated[Principal, Depends(require("edits"))]
Service = Annotated[BatchService, Depends(batch_service)]
Item = Annotated[int, Path(ge=0, le=999_999)]


@router.post(
    "",
    status_code=202,
    summary="Edit many images, later",
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}},
)
async def create_batch(
    request: Request, response: Response, principal: Editor, batches: Service, key: AskedKey, trail: AskedTrail
) -> BatchView:
    """Queue every edit of every image; the pictures are kept for a day."""
    admission: Admission = request.state.admission
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() else request.state.max_body_bytes
    with admission.hold(size, principal.key_id):
        form = await read_form(request, most_fields=MOST_IMAGES + 3)
        edits = _edits(json_of(form, "edits"))
        media_type = negotiate(text_of(form, "accept"))
        made, replayed = await batches.create(principal, _images(form), edits, media_type, trail, key=key)
    if replayed:
        response.headers[REPLAYED] = "true"
    response.headers["Location"] = f"/v1/edit_batches/{made.id}"
    return made


@router.get("", summary="List batches")
async def list_batches(principal: Editor, batches: Service, turn: AskedPage) -> Page[BatchView]:
    """List batches, newest first."""
    found, more = await batches.list_own(principal, turn.limit, turn.after_id("bat"))
    return page_of([service.view(batch) for batch in found], more, lambda batch: batch.id)


@router.get("/{batch}", summary="Read a batch")
async def get_batch(batch: str, principal: Editor, batches: Service) -> BatchDetail:
    """Read how far a batch is, and what became of each item."""
    return service.detail(await batches.get(principal, batch))


@router.get("/{batch}/items/{item}", response_class=Response, summary="Download one picture")
async def get_item(batch: str, item: Item, principal: Editor, batches: Service) -> Response:
    """Download the picture of one item."""
    data, media_type, made = await batches.item(principal, batch, item)
    headers = {"X-Content-Type-Options": "nosniff"}
    told = {"X-Edit-Id": made.edit_id, "X-Adapter-Version": made.adapter, "X-Detail": made.detail}
    headers |= {name: value for name, value in told.items() if value is not None}
    if made.extrapolation is not None:
        headers |= {"X-Extrapolation": f"{made.extrapolation:.2f}", "X-Suggestion": json.dumps(made.suggestion)}
    return Response(data, media_type=media_type, headers=headers)


@router.get("/{batch}/download", response_class=Response, summary="Download all pictures")
async def download(batch: str, principal: Editor, batches: Service) -> StreamingResponse:
    """Download a zip of the pictures done so far, and results.json."""
    archive = await batches.archive(principal, batch)
    headers = {"Content-Disposition": f'attachment; filename="{batch[:60]}.zip"'}
    return StreamingResponse(_chunks(archive), media_type="application/zip", headers=headers)


@router.delete("/{batch}", status_code=204, summary="Delete a batch")
async def delete_batch(batch: str, principal: Editor, batches: Service, trail: AskedTrail) -> None:
    """Stop a batch and delete its images and pictures."""
    await batches.remove(principal, batch, trail)


def _images(form: Form) -> list[bytes]:
    uploads = form.getlist("image")
    if not uploads:
        raise InvalidInput(
            "there is no image; send one file field 'image' for each", code="missing_image", param="image"
        )
    if len(uploads) > MOST_IMAGES:
        raise TooLarge(
            f"there are {len(uploads)} images, at most {MOST_IMAGES} are taken; send several batches",
            code="batch_too_large",
            param="image",
        )
    images = []
    for upload in uploads:
        if isinstance(upload, str):
            raise InvalidInput("a field 'image' is text; send each as a file", code="image_not_a_file", param="image")
        images.append(upload)
    return images


def _edits(document: Any) -> list[EditRequest]:
    if not isinstance(document, list) or not 1 <= len(document) <= _MOST_EDITS:
        raise InvalidInput(
            f"'edits' is {json.dumps(document)[:60]}; send a JSON array of 1 to {_MOST_EDITS} edits",
            code="invalid_edits",
            param="edits",
        )
    return each("edits", document, parse_edit)


async def _chunks(archive: IO[bytes]) -> AsyncIterator[bytes]:
    try:
        while chunk := await run_in_threadpool(archive.read, _CHUNK):
            yield chunk
    finally:
        archive.close()
