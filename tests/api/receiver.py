"""A receiver of webhooks: a real HTTP server on loopback that notes what it is sent and answers as it is told."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from heddle_api.control.webhooks.signature import verify
from tests.api.certificates import Identity
from tests.api.live import served


@dataclass
class Message:
    """One POST as it came."""

    headers: dict[str, str]
    body: bytes
    document: Any

    def signed_by(self, secret: str) -> bool:
        """Tell whether it carries a valid signature of this secret."""
        return verify(secret, self.headers, self.body, now=time.time())


@dataclass
class Receiver:
    """What was received; `statuses` are answered in turn, then 204."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    delay_seconds: float = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one message."""
        request = Request(scope, receive)
        body = await request.body()
        self.messages.append(Message(dict(request.headers), body, await request.json()))
        await asyncio.sleep(self.delay_seconds)
        status = self.statuses.pop(0) if self.statuses else 204
        headers = {"Location": f"{self.url}/elsewhere"} if 300 <= status < 400 else {}
        await Response(status_code=status, headers=headers)(scope, receive, send)


@contextmanager
def receiving(*statuses: int, identity: Identity | None = None) -> Iterator[Receiver]:
    """Serve a receiver, over TLS where it has an identity."""
    receiver = Receiver(statuses=list(statuses))
    with served(receiver, identity=identity) as url:
        receiver.url = f"{url}/hooks"
        yield receiver


async def until(done: Callable[[], bool], timeout_seconds: float = 20.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(timeout_seconds):
        while not done():  # noqa: ASYNC110  another thread makes it so
            await asyncio.sleep(0.02)
