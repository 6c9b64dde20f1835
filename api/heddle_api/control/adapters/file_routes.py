"""Routes of a version's files; directly below an adapter they mean the version in production, else the newest."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Response

from heddle_api.control.adapters import files
from heddle_api.control.adapters.files import HTML, JSON, Format
from heddle_api.control.adapters.routes import ReaderKey
from heddle_api.control.context import CurrentControl
from heddle_api.control.wire import VersionNumber

router = APIRouter(prefix="/v1/adapters", tags=["adapters"])
AcceptHeader = Annotated[str | None, Header()]
AskedFormat = Annotated[
    Format,
    Query(
        alias="format",
        description="npz: the matrices; onnx: the adapter's graph; editor: one ONNX file that edits pictures.",
    ),
]


def _produces(*media_types: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: {} for media_type in media_types}}}


_CARD: Final = _produces(JSON, HTML)
_PAGE: Final = _produces(HTML)
_FILE: Final = _produces("application/octet-stream")


@router.get("/{adapter}/card", response_class=Response, responses=_CARD, summary="Read the scorecard")
async def current_card(
    adapter: str, tenant: ReaderKey, control: CurrentControl, accept: AcceptHeader = None
) -> Response:
    """Read the scorecard as JSON, or as a page by `Accept: text/html`."""
    return await files.card(control, tenant.tenant, adapter, None, accept)


@router.get("/{adapter}/playbook", response_class=Response, responses=_PAGE, summary="Read the playbook")
async def current_playbook(adapter: str, tenant: ReaderKey, control: CurrentControl) -> Response:
    """Read the page that tells why the adapter is what it is and what would improve it."""
    return await files.playbook(control, tenant.tenant, adapter, None)


@router.get("/{adapter}/download", response_class=Response, responses=_FILE, summary="Download the adapter")
async def current_download(
    adapter: str, tenant: ReaderKey, control: CurrentControl, file_format: AskedFormat = "npz"
) -> Response:
    """Download the adapter."""
    return await files.download(control, tenant.tenant, adapter, None, file_format)


@router.get(
    "/{adapter}/versions/{version}/card", response_class=Response, responses=_CARD, summary="Read a version's scorecard"
)
async def version_card(
    adapter: str, version: VersionNumber, tenant: ReaderKey, control: CurrentControl, accept: AcceptHeader = None
) -> Response:
    """Read a version's scorecard as JSON, or as a page by `Accept: text/html`."""
    return await files.card(control, tenant.tenant, adapter, version, accept)


@router.get(
    "/{adapter}/versions/{version}/playbook",
    response_class=Response,
    responses=_PAGE,
    summary="Read a version's playbook",
)
async def version_playbook(
    adapter: str, version: VersionNumber, tenant: ReaderKey, control: CurrentControl
) -> Response:
    """Read the page that tells why a version is what it is and what would improve it."""
    return await files.playbook(control, tenant.tenant, adapter, version)


@router.get(
    "/{adapter}/versions/{version}/download",
    response_class=Response,
    responses=_FILE,
    summary="Download a version",
)
async def version_download(
    adapter: str, version: VersionNumber, tenant: ReaderKey, control: CurrentControl, file_format: AskedFormat = "npz"
) -> Response:
    """Download a version."""
    return await files.download(control, tenant.tenant, adapter, version, file_format)
