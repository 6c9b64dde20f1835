"""Live servers for what speaks HTTP synchronously: an ASGI app on a loopback port, run by a thread of its own."""

import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import structlog
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from heddle_api.client import HeddleClient
from heddle_api.control.app import create_app
from heddle_infra.database.engine import Database
from heddle_infra.memory import MemoryObjectStore
from heddle_infra.wiring import Ports
from heddle_platform.errors import Forbidden
from tests.api.certificates import Identity
from tests.api.control_world import World, open_world


@contextmanager
def served(app: ASGIApp, *, lifespan: bool = False, identity: Identity | None = None) -> Iterator[str]:
    """Serve an app on a free loopback port and yield its address; with an identity over TLS, as `localhost`."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    tls = {} if identity is None else {"ssl_certfile": identity.certificate, "ssl_keyfile": identity.key}
    config = uvicorn.Config(
        app,
        log_level="error",
        lifespan="on" if lifespan else "off",
        access_log=False,
        **tls,  # type: ignore[arg-type]
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        port = listener.getsockname()[1]
        yield f"http://127.0.0.1:{port}" if identity is None else f"https://localhost:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listener.close()


@dataclass
class ReachableStore(MemoryObjectStore):
    """The object store in memory, whose signed addresses answer over HTTP; `failures` PUTs first answer 503."""

    address: str = ""
    failures: int = 0
    sent: list[dict[str, str]] = field(default_factory=list)

    def presign_part(
        self, key: str, multipart_id: str, number: int, *, expires_seconds: int, size: int | None = None
    ) -> str:
        """Return an HTTP address that stands for the `memory:` URL."""
        url = super().presign_part(key, multipart_id, number, expires_seconds=expires_seconds, size=size)
        return f"{self.address}/parts?to={quote(url, safe='')}"

    def presign_get(self, key: str, *, expires_seconds: int) -> str:
        """Return an HTTP address that stands for the `memory:` URL."""
        url = super().presign_get(key, expires_seconds=expires_seconds)
        return f"{self.address}/objects?of={quote(url, safe='')}"

    def follow_put(self, url: str, data: bytes) -> str:
        """Take both kinds of address."""
        query = parse_qs(urlsplit(url).query) if url.startswith("http") else {}
        return super().follow_put(query["to"][0] if query else url, data)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer PUTs and GETs as an object store does."""
        request = Request(scope, receive)
        if request.method == "GET":
            await Response(self.follow_get(request.query_params["of"]))(scope, receive, send)
            return
        body = await request.body()
        self.sent.append(dict(request.headers))
        if self.failures > 0:
            self.failures -= 1
            await Response(status_code=503)(scope, receive, send)
            return
        try:
            etag = self.follow_put(request.query_params["to"], body)
        except Forbidden:
            await Response("<Error>AccessDenied</Error>", status_code=403)(scope, receive, send)
            return
        await Response(headers={"ETag": f'"{etag}"'})(scope, receive, send)


@dataclass
class Live:
    """A control plane on a port, and the same world behind it, to play the worker's part in."""

    world: World
    store: ReachableStore
    url: str

    def client(self, api_key: str) -> HeddleClient:
        """Return a client that never waits."""
        return HeddleClient(self.url, api_key=api_key, sleep=lambda _: None)


@asynccontextmanager
async def open_live(postgres_url: str, *, poll_seconds: float = 0.02) -> AsyncIterator[Live]:
    """Serve a control plane on a loopback port; `poll_seconds`: how often it looks for webhooks to send."""
    store = ReachableStore()
    # the plane's log would mix with what commands print, both being in this process
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    async with open_world(postgres_url, store, poll_seconds=poll_seconds) as world:
        settings = world.ports.settings
        # connections belong to one event loop, and the server's thread has its own
        ports = Ports(settings, Database(settings.database), store, world.cache)
        with served(store) as store.address, served(create_app(ports), lifespan=True) as url:
            yield Live(world, store, url)
    structlog.reset_defaults()


@dataclass
class Script:
    """A server that gives the answers it was told to, and notes the requests."""

    answers: list[Response | None]
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give the next answer; None breaks the connection in the middle of one."""
        request = Request(scope, receive)
        path = scope["raw_path"].decode()
        self.requests.append((request.method, path, dict(request.headers), await request.body()))
        answer = self.answers.pop(0)
        if answer is None:
            await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"99")]})
            await send({"type": "http.response.body", "body": b"cut", "more_body": True})
            return
        await answer(scope, receive, send)


def problem(status: int, code: str, **headers: str) -> Response:
    """Return a problem document."""
    body: dict[str, Any] = {"code": code, "detail": f"this is {code}", "retryable": status in (429, 503)}
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")
