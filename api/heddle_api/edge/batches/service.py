"""Batches: images in the object store and a row; an edge works the items off, callers read how far it is."""

import asyncio
import io
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, Final, Literal

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_adapters.edit import check_request
from heddle_api.auth import Principal
from heddle_api.control.once import recalled
from heddle_api.control.trail import Trail
from heddle_api.edge.batches.parts import each
from heddle_api.edge.loader import Loader
from heddle_infra.database import edit_batches, idempotency
from heddle_infra.database.engine import Database
from heddle_infra.database.idempotency import StoredReply
from heddle_platform import keys
from heddle_platform.digest import json_digest, sha256_hex
from heddle_platform.edit_records import EditBatch
from heddle_platform.edits import EditRequest
from heddle_platform.errors import NotFound, TooLarge, Unavailable
from heddle_platform.ids import new_id
from heddle_platform.image_header import SUFFIXES, MediaType, read_header
from heddle_platform.ports import ObjectStore

MOST_IMAGES: Final = 200
MOST_ITEMS: Final = 1_000
TTL_SECONDS: Final = 24 * 3600
_ZIP_IN_MEMORY: Final = 8 * 1024**2


class BatchItem(BaseModel):
    """One item that is done: one image and one edit."""

    item: int = Field(description="Its number; items go through all edits of the first image, then of the next.")
    image: int = Field(description="Which image of the batch, from 0.")
    edit: int = Field(description="Which edit of the batch, from 0.")
    status: Literal["done", "failed"]
    adapter: str | None = Field(None, description="name@version that made it.")
    edit_id: str | None = Field(None, description="Names the edit, for feedback.")
    detail: str | None = Field(None, description="How it was drawn: decode or preserve.")
    extrapolation: float | None = Field(
        None, description="How far beyond the trusted range it went, 1 being its border; null inside."
    )
    suggestion: dict[str, Any] | None = Field(None, description="What to ask for instead where it went beyond.")
    code: str | None = None
    message: str | None = None


class BatchView(BaseModel):
    """A batch of edits."""

    id: str
    status: Literal["queued", "running", "done", "cancelled"]
    items: int = Field(description="How many items there are: images times edits.")
    done: int = Field(description="Items that are over, failed ones too.")
    failed: int = Field(description="Items that could not be done; each says why.")
    progress: float = Field(description="Share of items that are over, 0 to 1.")
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime = Field(description="When its images are deleted.")


class BatchDetail(BatchView):
    """A batch and its items so far."""

    results: list[BatchItem] = Field(description="The items that are over, in their order.")


@dataclass(frozen=True)
class ItemPlan:
    """Which image and which edit an item is, and where its picture lies."""

    image: int
    edit: int
    key: str


def view(batch: EditBatch) -> BatchView:
    """Return what is shown of a batch in a list."""
    shown = batch.model_dump(include=set(BatchView.model_fields))
    return BatchView(progress=round(batch.done / batch.items, 4), **shown)


def detail(batch: EditBatch) -> BatchDetail:
    """Return all that is shown of a batch."""
    return BatchDetail(**view(batch).model_dump(), results=[BatchItem(**result) for result in batch.results])


def plan(batch: EditBatch, item: int) -> ItemPlan:
    """Say what an item is."""
    image, edit = divmod(item, len(batch.spec["edits"]))
    file = f"item-{item:04d}{SUFFIXES[batch.spec['media_type']]}"
    return ItemPlan(image, edit, keys.edit_batch_file(batch.tenant_id, batch.id, file))


def input_key(batch: EditBatch, image: int) -> str:
    """Return where an image of a batch lies."""
    return keys.edit_batch_file(batch.tenant_id, batch.id, f"image-{image:04d}")


class BatchService:
    """What the routes of batches call."""

    def __init__(self, database: Database, objects: ObjectStore, loader: Loader) -> None:
        self._database = database
        self._objects = objects
        self._loader = loader

    async def create(
        self,
        principal: Principal,
        images: Sequence[bytes],
        edits: Sequence[EditRequest],
        media_type: MediaType,
        trail: Trail,
        *,
        key: str | None = None,
    ) -> tuple[BatchView, bool]:
        """Store the images and queue the batch; what can be seen to fail is refused now.

        Args:
            principal: whose batch it is.
            images: the files.
            edits: each is done to each image.
            media_type: of the pictures.
            trail: where the audit event of it begins.
            key: Idempotency-Key; the same one queues once.

        Returns:
            The batch, and whether it is what was answered before under this key.

        Raises:
            Conflict, InvalidInput: as `recalled` says.
            TooLarge: code `batch_too_large`.
            NotFound: an unknown adapter, version or alias.
            InvalidInput: an edit its adapter cannot do, or a file that is no image.
            RateLimited: code `too_many_batches`.
            Unavailable: the database or the object store is away.
        """
        if len(images) * len(edits) > MOST_ITEMS:
            raise TooLarge(
                f"{len(images)} images times {len(edits)} edits are {len(images) * len(edits)} items, at most "
                f"{MOST_ITEMS} are taken; send several batches",
                code="batch_too_large",
            )
        serving = await self._loader.knowing(principal.tenant, *edits)
        if serving is None:
            raise Unavailable("this replica is still starting; try again in a moment", code="not_ready")
        each("edits", edits, lambda edit: check_request(serving.resolve(principal.tenant, edit).adapter, edit))
        each("image", images, read_header)
        batch_id = new_id("bat")
        await asyncio.to_thread(self._store, principal.tenant, batch_id, images)
        values: dict[str, Any] = {
            "id": batch_id,
            "tenant_id": principal.tenant,
            "key_id": principal.key_id,
            "epoch": self._epoch(principal),
            "items": len(images) * len(edits),
            "spec": {
                "media_type": media_type,
                "edits": [edit.model_dump(mode="json") for edit in edits],
                "images": [sha256_hex(data) for data in images],
            },
        }
        made = None
        try:
            async with self._database.transaction(principal.tenant) as session:
                made, replayed = await _queued(session, values, key)
                if not replayed:
                    await trail.note(session, principal, target=made.id, after=made)
            return made, replayed
        finally:
            if made is None or replayed:
                await asyncio.to_thread(delete_objects, self._objects, principal.tenant, batch_id)

    async def get(self, principal: Principal, batch_id: str) -> EditBatch:
        """Return a batch of the caller's tenant.

        Raises:
            NotFound: code `unknown_batch`.
        """
        async with self._database.transaction(principal.tenant) as session:
            return await edit_batches.get(session, principal.tenant, batch_id, epoch=self._epoch(principal))

    async def list_own(self, principal: Principal, limit: int, after: str | None) -> tuple[list[EditBatch], bool]:
        """Return one page of batches, newest first."""
        async with self._database.transaction(principal.tenant) as session:
            return await edit_batches.list_batches(
                session, principal.tenant, epoch=self._epoch(principal), limit=limit, after=after
            )

    async def item(self, principal: Principal, batch_id: str, item: int) -> tuple[bytes, str, BatchItem]:
        """Return the picture of one item, its type, and what is told of it.

        Raises:
            NotFound: codes `unknown_batch`, `unknown_item`, `item_not_done`, `item_failed`.
        """
        batch = await self.get(principal, batch_id)
        if item >= batch.items:
            raise NotFound(f"the batch has {batch.items} items, there is no item {item}", code="unknown_item")
        if item >= len(batch.results):
            raise NotFound(f"item {item} is not done yet; {batch.done} of {batch.items} are", code="item_not_done")
        if batch.results[item]["status"] == "failed":
            raise NotFound(f"item {item} has no picture: {batch.results[item]['message']}", code="item_failed")
        data = await asyncio.to_thread(self._objects.get, plan(batch, item).key)
        return data, batch.spec["media_type"], BatchItem(**batch.results[item])

    async def archive(self, principal: Principal, batch_id: str) -> IO[bytes]:
        """Return a zip of all pictures so far, and `results.json`."""
        batch = await self.get(principal, batch_id)
        return await asyncio.to_thread(self._zip, batch)

    async def remove(self, principal: Principal, batch_id: str, trail: Trail) -> None:
        """Stop a batch and delete it with its images.

        Raises:
            NotFound: code `unknown_batch`.
        """
        batch = await self.get(principal, batch_id)
        async with self._database.transaction(batch.tenant_id) as session:
            await edit_batches.remove(session, batch.tenant_id, batch.id)
            await trail.note(session, principal, target=batch.id, before=view(batch))
        await asyncio.to_thread(delete_objects, self._objects, batch.tenant_id, batch.id)

    def _epoch(self, principal: Principal) -> int:
        serving = self._loader.serving
        return principal.tenant_epoch if serving is None else serving.epochs.get(principal.tenant, 0)

    def _store(self, tenant_id: str, batch_id: str, images: Sequence[bytes]) -> None:
        for number, data in enumerate(images):
            self._objects.put(keys.edit_batch_file(tenant_id, batch_id, f"image-{number:04d}"), data)

    def _zip(self, batch: EditBatch) -> IO[bytes]:
        out = tempfile.SpooledTemporaryFile(_ZIP_IN_MEMORY)  # noqa: SIM115  whoever sends it closes it
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:  # pictures are compressed already
            archive.writestr("results.json", detail(batch).model_dump_json(indent=1))
            for item, result in enumerate(batch.results):
                if result["status"] == "done":
                    key = plan(batch, item).key
                    archive.writestr(key.rpartition("/")[2], self._objects.get(key))
        out.seek(0, io.SEEK_SET)
        return out


async def _queued(session: AsyncSession, values: dict[str, Any], key: str | None) -> tuple[BatchView, bool]:
    """Queue a batch once under a key; nothing in its answer is secret, so it is stored as it is."""
    if key is None:
        return view(await edit_batches.create(session, values, ttl_seconds=TTL_SECONDS)), False
    scope, fingerprint = f"{values['tenant_id']} /v1/edit_batches", json_digest(values["spec"])
    stored = await recalled(session, scope, key, fingerprint)
    if stored is not None:
        return BatchView.model_validate_json(stored.sealed_body), True
    made = view(await edit_batches.create(session, values, ttl_seconds=TTL_SECONDS))
    await idempotency.remember(session, scope, key, StoredReply(fingerprint, 202, made.model_dump_json().encode()))
    return made, False


def delete_objects(objects: ObjectStore, tenant_id: str, batch_id: str) -> None:
    """Delete all images of a batch. Blocking."""
    for found in list(objects.list(keys.edit_batch_prefix(tenant_id, batch_id))):
        objects.delete(found.key)
