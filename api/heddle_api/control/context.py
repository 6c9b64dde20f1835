"""What every route of the control plane stands on: the ports, and who may call it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Annotated

import structlog
from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.auth import Caller, Principal, documented, require
from heddle_api.control.jobs.standing import Standings
from heddle_api.control.jobs.streams import Streams
from heddle_api.control.seal import Seal
from heddle_infra.database import queue, serving
from heddle_infra.wiring import Ports
from heddle_platform.errors import DataCorrupt, NotFound, Unavailable
from heddle_platform.ports import ObjectStore
from heddle_platform.records import Scope
from heddle_platform.settings import Settings

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Control:
    """The plane's tools; one per process, in the lifespan state as `control`."""

    ports: Ports
    seal: Seal
    standings: Standings
    streams: Streams = field(default_factory=Streams)

    @property
    def settings(self) -> Settings:
        """All settings of the process."""
        return self.ports.settings

    @property
    def objects(self) -> ObjectStore:
        """The object store; blocking, so call it in a thread."""
        return self.ports.objects

    def transaction(self, caller: Principal) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction that sees the rows of the caller's tenant, or the operators' own, and no others.

        It is committed when the block ends and rolled back when it raises.
        """
        return self.ports.database.transaction(caller.tenant_id)

    def platform_transaction(self, _: "Operator") -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction that sees the rows of all tenants, for an operator's route."""
        return self.ports.database.platform_transaction()

    async def read(self, key: str) -> bytes:
        """Read an object that a row says is there.

        Raises:
            DataCorrupt: it is not.
        """
        try:
            return await asyncio.to_thread(self.ports.objects.get, key)
        except NotFound as error:
            raise DataCorrupt(f"the object {key} is gone though a row points at it") from error

    async def announce(self, what: str) -> None:
        """Tell edges, after a commit, that serving changed; they poll as well, so failing to is no failure."""
        await self._publish(serving.CHANGED_CHANNEL, what)

    async def call_dispatchers(self, what: str) -> None:
        """Have dispatchers look at the queue now, after a commit; they look a few times a second in any case."""
        await self._publish(queue.CALL_CHANNEL, what)

    async def _publish(self, channel: str, what: str) -> None:
        try:
            await self.ports.cache.publish(channel, what)
        except Unavailable as error:
            _log.warning("announcement_lost", what=what, reason=error.message)


async def control_of(request: Request) -> Control:
    """Take the plane's tools out of the lifespan state."""
    # async although nothing is awaited: FastAPI would send a plain function through a thread
    control: Control = request.state.control
    return control


CurrentControl = Annotated[Control, Depends(control_of)]


def tenant_with(*any_of: Scope) -> Callable[[Principal], Awaitable[Principal]]:
    """Make a dependency that lets a tenant's key pass if it has at least one of these scopes.

    An operator's key is told that it has no tenant before it is told that it lacks a scope.
    """
    check = require(*any_of)

    async def tenant_caller(principal: Caller, _documented: Annotated[None, documented(*any_of)] = None) -> Principal:
        _ = principal.tenant
        return await check(principal)

    return tenant_caller


# keys that people and back ends hold; one that only edits, in an app, learns nothing of the tenant's accounts
WatchKey = Annotated[Principal, Depends(tenant_with("factors", "data", "jobs", "adapters", "approve"))]
Operator = Annotated[Principal, Depends(require("admin"))]
