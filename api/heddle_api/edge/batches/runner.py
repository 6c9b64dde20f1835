"""Runner: works batches off in this replica, a few items at a time, in the background lane of the queue.

What was done is noted after every few items, fenced by the lease's attempt: a replica that is killed loses those few,
and whoever takes its lease over draws them again into the same objects.
"""

import asyncio
from typing import Any, Final

import structlog

from heddle_api.auth import Principal
from heddle_api.edge.batches.service import delete_objects, input_key, plan
from heddle_api.edge.form import ImageField
from heddle_api.edge.loader import Loader
from heddle_api.edge.service import EditService
from heddle_infra.database import edit_batches
from heddle_infra.database.engine import Database
from heddle_platform.edit_records import EditBatch
from heddle_platform.edits import EditRequest
from heddle_platform.errors import HeddleError, Unavailable
from heddle_platform.ports import ObjectStore

STEP: Final = 8  # items drawn between two notes
LEASE_SECONDS: Final = 60.0  # a step of the slowest items, each tried again until its patience ends
_TRIES: Final = 5
_SWEEP_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 2.0  # of a batch that is not served here: longer than a tenant's resumption takes to arrive

_log = structlog.get_logger(__name__)


class BatchRunner:
    """See the module; `run` it as a task."""

    def __init__(self, database: Database, objects: ObjectStore, loader: Loader, edits: EditService) -> None:
        self._database = database
        self._objects = objects
        self._loader = loader
        self._edits = edits

    async def run(self, *, poll_seconds: float) -> None:
        """Work for ever; the database and the object store may come and go."""
        sweep_at = 0.0
        loop = asyncio.get_running_loop()
        while True:
            try:
                busy = await self.turn()
                if loop.time() >= sweep_at:
                    sweep_at = loop.time() + _SWEEP_SECONDS
                    await self.sweep()
            except Unavailable:
                busy = False
            except Exception as error:
                _log.error("edit_batch_crashed", exc_info=error)
                busy = False
            if not busy:
                await asyncio.sleep(poll_seconds)

    async def turn(self) -> bool:
        """Lease one batch and work it off; return whether there was one."""
        if self._loader.serving is None:
            return False
        async with self._database.platform_transaction() as session:
            batch = await edit_batches.claim(session, lease_seconds=LEASE_SECONDS)
        if batch is None:
            return False
        _log.info("edit_batch_leased", batch_id=batch.id, tenant_id=batch.tenant_id, done=batch.done)
        current: EditBatch | None = batch
        while current is not None and current.status == "running":
            current = await self._step(current)
        return True

    async def sweep(self) -> None:
        """Delete what is kept no longer."""
        async with self._database.platform_transaction() as session:
            old = await edit_batches.expired(session, limit=100)
        for batch in old:
            await asyncio.to_thread(delete_objects, self._objects, batch.tenant_id, batch.id)
            async with self._database.transaction(batch.tenant_id) as session:
                await edit_batches.remove(session, batch.tenant_id, batch.id)

    async def _step(self, batch: EditBatch) -> EditBatch | None:
        serving = self._loader.serving
        if serving is None or serving.epochs.get(batch.tenant_id) != batch.epoch:
            # an erasure has begun a new epoch, or the tenant is suspended: these images are not edited now
            async with self._database.transaction(batch.tenant_id) as session:
                await edit_batches.stop(session, batch, pause_seconds=_PAUSE_SECONDS)
            return None
        items = range(batch.done, min(batch.items, batch.done + STEP))
        results = await asyncio.gather(*(self._item(batch, item) for item in items))
        async with self._database.transaction(batch.tenant_id) as session:
            return await edit_batches.advance(session, batch, results, lease_seconds=LEASE_SECONDS)

    async def _item(self, batch: EditBatch, item: int) -> dict[str, Any]:
        wanted = plan(batch, item)
        said: dict[str, Any] = {"item": item, "image": wanted.image, "edit": wanted.edit}
        principal = Principal(batch.key_id, batch.tenant_id, frozenset({"edits"}), batch.epoch)
        request = EditRequest.model_validate(batch.spec["edits"][wanted.edit])
        data = await asyncio.to_thread(self._objects.get, input_key(batch, wanted.image))
        for attempt in range(_TRIES):
            try:
                made = await self._edits.edit(
                    principal, ImageField(data, None), request, batch.spec["media_type"], background=True
                )
                break
            except Unavailable as error:  # others go first; its turn comes
                if attempt == _TRIES - 1:
                    return {**said, "status": "failed", "code": error.code, "message": error.message}
                await asyncio.sleep(0.2 * 2**attempt)
            except HeddleError as error:
                return {**said, "status": "failed", "code": error.code, "message": error.message}
        await asyncio.to_thread(self._objects.put, wanted.key, made.image.data)
        return {
            **said,
            "status": "done",
            "adapter": made.adapter,
            "edit_id": made.edit_id,
            "detail": made.image.detail,
            "extrapolation": round(made.image.extrapolation, 3) if made.image.extrapolation > 1.0 else None,
            "suggestion": made.image.suggestion,
        }
