"""CORS: the studio, served by the control plane, may call the edge from the browser; nobody else's page may."""

from typing import Final
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from heddle_api.edge.routes import EXPOSED_HEADERS

_LOOPBACK: Final = ("127.0.0.1", "localhost")


class StudioCors:
    """CORS whose one origin is known only when the lifespan has read the settings (`studio_origin` in its state)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: CORSMiddleware | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._open is None:
            self._open = CORSMiddleware(
                self._app,
                allow_origins=origins_of(scope["state"]["studio_origin"]),
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type", "Accept"],
                expose_headers=EXPOSED_HEADERS,
                max_age=600,
            )
        await self._open(scope, receive, send)


def origins_of(url: str) -> list[str]:
    """Return the origins of the page at `url`; a page on loopback is opened under either of its names."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    hosts = _LOOPBACK if parts.hostname in _LOOPBACK else (parts.hostname or "",)
    return [f"{parts.scheme}://{host}{port}" for host in hosts]
