"""The studio: a page of static files, served under a policy that lets it reach this plane, the edge, and the object
store that uploads go to; nothing else."""

from importlib.metadata import version
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from heddle_api.control.context import Control, CurrentControl
from heddle_platform.errors import NotFound

FOLDER: Final = Path(__file__).resolve().parent.parent / "studio"


class StudioConfig(BaseModel):
    """What the page must know before it can do anything."""

    edge_url: str = Field(description="Where edits go.")
    version: str


def studio_router(folder: Path = FOLDER) -> APIRouter:
    """Return the page's routes; they need no key, the page asks for one."""
    router = APIRouter(include_in_schema=False)

    @router.get("/studio/config.json")
    async def config(control: CurrentControl) -> StudioConfig:
        return StudioConfig(edge_url=control.settings.service.edge_url, version=version("heddle"))

    @router.get("/")
    async def index(control: CurrentControl) -> FileResponse:
        return _file(folder, "index.html", policy_of(control))

    @router.get("/studio/{path:path}")
    async def file(path: str, control: CurrentControl) -> FileResponse:
        return _file(folder, path or "index.html", policy_of(control))

    return router


def policy_of(control: Control) -> str:
    """Return the policy for where the edge and the object store are reached from outside."""
    objects = control.settings.objects
    return policy(control.settings.service.edge_url, objects.s3_public_endpoint_url or objects.s3_endpoint_url)


def _file(folder: Path, path: str, policy_header: str) -> FileResponse:
    hidden = any(part.startswith(".") for part in path.split("/"))
    found = None if hidden or "\x00" in path or "\\" in path else (folder / path).resolve()
    if found is None or not found.is_relative_to(folder.resolve()) or not found.is_file():
        raise NotFound(f"the studio has no file {path[:100]!r}", code="unknown_file")
    headers = {
        "Content-Security-Policy": policy_header,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",  # an update of the platform is an update of the page; the ETag saves the bytes
    }
    return FileResponse(found, headers=headers)


def policy(edge_url: str, store_url: str) -> str:
    """Return the page's Content-Security-Policy: scripts of our own only, talk to this plane, edge and store only."""
    edge, store = (f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, (edge_url, store_url)))
    return "; ".join(
        (
            "default-src 'self'",
            f"connect-src 'self' {edge} {store}",  # parts of uploads go straight to the store
            "img-src 'self' blob: data:",
            "script-src 'self'",
            # no 'unsafe-inline': the page gives a scorecard's styles to its frame as constructed sheets
            "style-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
