"""POST exactly once: the Idempotency-Key is taken, looked up and remembered in the transaction that does the work.

A key belongs to a tenant (or an operator's key) and a route. Only replies to work that was committed are stored:
a refused request changes nothing, and is judged anew when it is sent again.
"""

import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.auth import Principal
from heddle_api.control.context import Control, CurrentControl
from heddle_api.control.trail import Document, Trail, trail_of
from heddle_infra.database import idempotency
from heddle_infra.database.idempotency import StoredReply
from heddle_platform.digest import canonical_json, sha256_hex
from heddle_platform.errors import Conflict, InvalidInput

MAX_KEY_CHARACTERS: Final = 255
REPLAYED: Final = "Idempotency-Replayed"


@dataclass(frozen=True)
class Reply:
    """What a piece of work answers.

    Attributes:
        body: the JSON document.
        status: HTTP status.
        headers: further response headers, such as Location and ETag.
        announce: what changed for serving, told to edges after the commit; None: nothing.
        calls: what dispatchers are called for after the commit, a job that waits or is to stop; None: nothing.
        target: what was done something to, for the audit trail; None: the body's id, else the path.
        tenant_id: in whose trail it stands, where an operator acts on a tenant.
        before: the document as it was, for the audit trail.
        changes: whether anything was changed; what changes nothing leaves no event.
    """

    body: BaseModel
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    announce: str | None = None
    calls: str | None = None
    target: str | None = None
    tenant_id: str | None = None
    before: Document | None = None
    changes: bool = True


Work = Callable[[AsyncSession], Awaitable[Reply]]


@dataclass(frozen=True)
class Post:
    """One POST request, to be done once."""

    control: Control
    route: str
    fingerprint: str
    key: str | None
    trail: Trail

    async def once(self, principal: Principal, work: Work) -> Response:
        """Run `work` in a transaction, or answer what it answered before under the same Idempotency-Key.

        Raises:
            Conflict: code `idempotency_key_in_flight` (retryable), or `stored_reply_lost`.
            InvalidInput: code `idempotency_key_reused`: the body or the path differs from the first request's.
        """
        async with self.control.transaction(principal) as session:
            if self.key is None:
                reply = await work(session)
            else:
                scope = f"{principal.tenant_id or principal.key_id} {self.route}"
                stored = await recalled(session, scope, self.key, self.fingerprint)
                if stored is not None:
                    return _opened(stored, self.control)
                reply = await work(session)
                await idempotency.remember(session, scope, self.key, _sealed(reply, self.fingerprint, self.control))
            if reply.changes:
                await note(self.trail, session, principal, reply)
        if reply.announce is not None:
            await self.control.announce(reply.announce)
        if reply.calls is not None:
            await self.control.call_dispatchers(reply.calls)
        return answer(reply)


async def note(trail: Trail, session: AsyncSession, caller: Principal, reply: Reply) -> None:
    """Leave the event of a reply in the audit trail."""
    target = reply.target or getattr(reply.body, "id", None)
    await trail.note(session, caller, tenant_id=reply.tenant_id, target=target, before=reply.before, after=reply.body)


def answer(reply: Reply) -> Response:
    """Turn a reply into an HTTP response."""
    return Response(
        reply.body.model_dump_json(), reply.status, headers=dict(reply.headers), media_type="application/json"
    )


def _sealed(reply: Reply, fingerprint: str, control: Control) -> StoredReply:
    envelope = {"headers": dict(reply.headers), "body": reply.body.model_dump_json()}
    return StoredReply(fingerprint, reply.status, control.seal.close(json.dumps(envelope).encode()))


def _opened(stored: StoredReply, control: Control) -> Response:
    envelope = json.loads(control.seal.open(stored.sealed_body))
    headers = {**envelope["headers"], REPLAYED: "true"}
    return Response(envelope["body"], stored.status, headers=headers, media_type="application/json")


async def _key(
    idempotency_key: Annotated[
        str | None,
        Header(
            description="Any text of your own, at most 255 characters; the same key does the work once in 24 hours."
        ),
    ] = None,
) -> str | None:
    if idempotency_key is not None and not (
        1 <= len(idempotency_key) <= MAX_KEY_CHARACTERS and idempotency_key.isascii() and idempotency_key.isprintable()
    ):
        raise InvalidInput(
            f"the Idempotency-Key has {len(idempotency_key)} characters; send 1 to {MAX_KEY_CHARACTERS} printable "
            "ASCII characters",
            code="malformed_header",
            param="Idempotency-Key",
        )
    return idempotency_key


AskedKey = Annotated[str | None, Depends(_key)]


async def recalled(session: AsyncSession, scope: str, key: str, fingerprint: str) -> StoredReply | None:
    """Take an Idempotency-Key for this transaction and return what was answered under it before.

    Args:
        session: its transaction does the work, where nothing was answered.
        scope: the tenant's id (or an operator's key's) and the route.
        key: what the caller sent.
        fingerprint: of the request.

    Raises:
        Conflict: code `idempotency_key_in_flight` (retryable).
        InvalidInput: code `idempotency_key_reused`: the body or the path differs from the first request's.
    """
    if not await idempotency.lock(session, scope, key):
        error = Conflict(
            "a request with this Idempotency-Key is being worked on; wait a moment and send it again",
            code="idempotency_key_in_flight",
            param="Idempotency-Key",
        )
        error.retryable = True
        raise error
    stored = await idempotency.recall(session, scope, key)
    if stored is not None and stored.fingerprint != fingerprint:
        raise InvalidInput(
            "this Idempotency-Key was used with another body or path; use a new key for a new request",
            code="idempotency_key_reused",
            param="Idempotency-Key",
        )
    return stored


async def _post(request: Request, control: CurrentControl, idempotency_key: AskedKey) -> Post:
    route = getattr(request.scope.get("route"), "path", request.url.path)
    fingerprint = _fingerprint(request.url.path, await request.body())
    return Post(control, route, fingerprint, idempotency_key, trail_of(request))


def _fingerprint(path: str, body: bytes) -> str:
    # a client library may spell the same JSON differently on its second try
    with contextlib.suppress(ValueError, RecursionError):
        body = canonical_json(json.loads(body))
    return sha256_hex(path.encode() + b"\n" + body)


OncePost = Annotated[Post, Depends(_post)]
