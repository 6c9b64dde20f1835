"""Routes of the edge: multipart in, image bytes out, what the edit was in the headers."""

import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from heddle_api.auth import Principal
from heddle_api.edge.admission import Admission
from heddle_api.edge.direct import EDITOR, DirectRoute, edit_service
from heddle_api.edge.form import PRODUCED, deadline_of, image_of, json_of, negotiate, read_form, text_of
from heddle_api.edge.grid import parse_grid
from heddle_api.edge.service import EditService
from heddle_api.gate import HEADERS
from heddle_platform.edits import parse_edit
from heddle_platform.errors import InvalidInput

EXPOSED_HEADERS: Final = (
    "X-Request-Id",
    "X-Edit-Id",
    "X-Adapter-Version",
    "X-Cache",
    "X-Detail",
    "X-Detail-Reason",
    "X-Extrapolation",
    "X-Suggestion",
    "X-Grid-Values",
    "Server-Timing",
    "Retry-After",
    *HEADERS,
)


router = APIRouter(prefix="/v1", tags=["edits"])
direct = APIRouter(prefix="/v1", tags=["edits"], route_class=DirectRoute)


Editor = Annotated[Principal, Depends(EDITOR)]
Service = Annotated[EditService, Depends(edit_service)]
Deadline = Annotated[float | None, Depends(deadline_of)]


class TakenImage(BaseModel):
    """Answer of POST /v1/images; `readings` is null unless an adapter was named."""

    image_id: str
    width: int
    height: int
    adapter: str | None
    readings: dict[str, dict[str, Any]] | None
    expires_at: str


def _multipart(**texts: str) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "image": {"type": "string", "format": "binary", "description": "PNG, JPEG or WebP"},
        "image_id": {"type": "string", "description": "instead of image: an id that POST /v1/images gave"},
    }
    properties |= {name: {"type": "string", "description": text} for name, text in texts.items()}
    schema = {"type": "object", "properties": properties}
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}},
        "x-idempotent": "the same image and the same document give the same answer",
    }


_IMAGE_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The edited image", "content": {media_type: {} for media_type in PRODUCED}}
}


@direct.post(
    "/edits",
    response_class=Response,
    responses=_IMAGE_ANSWER,
    openapi_extra=_multipart(edit="an edit as JSON: adapter, set, shift, preserve, detail"),
)
async def edit_image(request: Request, principal: Editor, service: Service, deadline: Deadline) -> Response:
    """Edit an image; the answer has the image's own size and the type that Accept asks for, PNG by default.

    It is sRGB, the right way up, and keeps the image's transparency as PNG and WebP; JPEG shows it over white.
    """
    media_type = negotiate(request.headers.get("accept"))
    with _admission(request).hold(_body_bytes(request), principal.key_id):
        form = await read_form(request)
        edit = parse_edit(json_of(form, "edit"))
        with service.patience.of(deadline):
            answer = await service.edit(principal, image_of(form), edit, media_type, deadline_seconds=deadline)
    headers = {
        "X-Edit-Id": answer.edit_id,
        "X-Adapter-Version": answer.adapter,
        "X-Cache": answer.cache,
        "X-Detail": answer.image.detail,
        "X-Detail-Reason": answer.detail_reason,
        "Server-Timing": answer.timing,
    }
    if answer.image.extrapolation > 1.0:
        headers["X-Extrapolation"] = f"{answer.image.extrapolation:.2f}"
        headers["X-Suggestion"] = json.dumps(answer.image.suggestion)
    return _image(answer.image.data, media_type, headers)


@router.post(
    "/images",
    status_code=201,
    openapi_extra=_multipart(adapter="name of an adapter (with alias or version) whose readings are wanted"),
)
async def take_image(
    request: Request, response: Response, principal: Editor, service: Service, deadline: Deadline
) -> TakenImage:
    """Encode an image once and keep it, so that every edit of it is only a decode."""
    with _admission(request).hold(_body_bytes(request), principal.key_id):
        form = await read_form(request)
        image = image_of(form)
        if image.data is None:
            raise InvalidInput("send the image as a file field 'image'", code="missing_image", param="image")
        with service.patience.of(deadline):
            answer = await service.take(principal, image.data, text_of(form, "adapter"), deadline_seconds=deadline)
    response.headers["X-Cache"] = answer.cache
    if answer.adapter is not None:
        response.headers["X-Adapter-Version"] = answer.adapter
    response.headers["Server-Timing"] = answer.timing
    return TakenImage(
        image_id=answer.image_id,
        width=answer.width,
        height=answer.height,
        adapter=answer.adapter,
        readings=answer.readings,
        expires_at=answer.expires_at.isoformat(),
    )


@direct.post(
    "/edits/grid",
    response_class=Response,
    responses=_IMAGE_ANSWER,
    openapi_extra=_multipart(grid="a traversal as JSON: adapter, factor, steps, preserve, detail"),
)
async def draw_grid(request: Request, principal: Editor, service: Service, deadline: Deadline) -> Response:
    """Draw one factor at all its levels, or at even steps through its range, side by side."""
    media_type = negotiate(request.headers.get("accept"))
    with _admission(request).hold(_body_bytes(request), principal.key_id):
        form = await read_form(request)
        grid = parse_grid(json_of(form, "grid"))
        with service.patience.of(deadline):
            answer = await service.grid(principal, image_of(form), grid, media_type, deadline_seconds=deadline)
    headers = {
        "X-Adapter-Version": answer.adapter,
        "X-Cache": answer.cache,
        "X-Grid-Values": json.dumps(answer.values),  # ASCII by default, as a header must be
        "Server-Timing": answer.timing,
    }
    if answer.extrapolation > 1.0:  # of the picture farthest outside; which one, and what instead, its own edit says
        headers["X-Extrapolation"] = f"{answer.extrapolation:.2f}"
    return _image(answer.data, media_type, headers)


def _image(data: bytes, media_type: str, headers: dict[str, str]) -> Response:
    return Response(data, media_type=media_type, headers={"X-Content-Type-Options": "nosniff", **headers})


def _admission(request: Request) -> Admission:
    admission: Admission = request.state.admission
    return admission


def _body_bytes(request: Request) -> int:
    declared = request.headers.get("content-length", "")
    most: int = request.state.max_body_bytes
    return int(declared) if declared.isdecimal() else most
