"""The trail of the control plane: who changes anything leaves an event, in the transaction that changes it.

A POST leaves its event through `OncePost`; every other mutating route asks for `AskedTrail`. A test walks through the
routes and finds none without.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.auth import Principal
from heddle_infra.database import audit
from heddle_infra.database.walls import platform_scope
from heddle_platform.digest import json_digest

_SECRETS: Final = {"api_key", "secret", "parts"}  # shown once or for a while; not part of what was changed
_TARGET_CHARACTERS: Final = 500

Document = BaseModel | Mapping[str, Any]


@dataclass(frozen=True)
class Trail:
    """One request's place in the trail: the name of its route, its path, and its id."""

    action: str
    path: str
    request_id: str | None

    async def note(
        self,
        session: AsyncSession,
        caller: Principal,
        *,
        tenant_id: str | None = None,
        target: str | None = None,
        before: Document | None = None,
        after: Document | None = None,
    ) -> None:
        """Write the event; call it last in the transaction.

        Args:
            session: the transaction that does the deed.
            caller: who does it.
            tenant_id: in whose chain it stands, where an operator acts on a tenant; None: in the caller's.
            target: what it is done to; None: the path.
            before: the document as it was.
            after: the document as it is.
        """
        async with platform_scope(session) if tenant_id != caller.tenant_id and tenant_id else nullcontext():
            await self._record(session, caller, tenant_id or caller.tenant_id, target, before, after)

    async def _record(
        self,
        session: AsyncSession,
        caller: Principal,
        tenant_id: str | None,
        target: str | None,
        before: Document | None,
        after: Document | None,
    ) -> None:
        await audit.record(
            session,
            tenant_id,
            actor="operator" if caller.tenant_id is None else "tenant",
            key_id=caller.key_id,
            action=self.action,
            target=(target or self.path)[:_TARGET_CHARACTERS],
            request_id=self.request_id,
            before=_digest(before),
            after=_digest(after),
        )


def trail_of(request: Request) -> Trail:
    """Return a request's place in the trail."""
    action = getattr(request.scope.get("route"), "name", None) or request.method.lower()
    return Trail(action, request.url.path, request.scope.get("state", {}).get("request_id"))


async def _trail(request: Request) -> Trail:
    return trail_of(request)


AskedTrail = Annotated[Trail, Depends(_trail)]


def _digest(document: Document | None) -> str | None:
    if document is None:
        return None
    if isinstance(document, BaseModel):
        return json_digest(document.model_dump(mode="json", exclude=_SECRETS))
    return json_digest({name: value for name, value in document.items() if name not in _SECRETS})
