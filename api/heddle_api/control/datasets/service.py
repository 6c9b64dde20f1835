"""Labelled sets: registered with the job that validates them, reported on, paged through, deleted."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.auth import Principal
from heddle_api.control.context import Control
from heddle_api.control.datasets.inline import MAX_ITEMS, NewItem, pack_items
from heddle_api.control.factors.service import split_reference
from heddle_api.control.once import Reply
from heddle_api.control.page import Page, Turn, page_of
from heddle_api.control.trail import Trail
from heddle_api.control.wire import Asked, DisplayName, Reference
from heddle_infra.database import datasets, factor_sets, jobs, quotas, uploads, usage
from heddle_platform import keys
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import Conflict, InvalidInput
from heddle_platform.factors import parse_factor_set
from heddle_platform.ids import new_id
from heddle_platform.manifest import Manifest, ManifestImage
from heddle_platform.ports import ObjectStore
from heddle_platform.quota import Counted
from heddle_platform.records import Dataset, DatasetStatus, Upload
from heddle_platform.usage import Slot, hour_of


class NewDataset(Asked):
    """A labelled set to be: a completed upload, or the images themselves where they are few; read by a factor set."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "spring", "factor_set": "avatars", "upload": "up_01jd0000000000000000000000"}],
            "oneOf": [
                {"required": ["upload"], "properties": {"upload": {"type": "string"}, "items": {"type": "null"}}},
                {"required": ["items"], "properties": {"items": {"type": "array"}, "upload": {"type": "null"}}},
            ],
        },
    )
    name: DisplayName
    factor_set: Reference = Field(description="Id, name, or name@version; without a version the newest.")
    upload: Reference | None = Field(
        None, description="Id of a completed upload: a zip with images and labels.csv, or a Parquet file."
    )
    items: Annotated[list[NewItem], Field(min_length=1, max_length=MAX_ITEMS, fail_fast=True)] | None = Field(
        None, description="Instead of an upload: the images and labels themselves, a few megabytes at most."
    )

    @model_validator(mode="after")
    def _one_source(self) -> "NewDataset":
        if (self.upload is None) == (self.items is None):
            raise ValueError("send either upload (the id of a completed upload) or items (images and labels), not both")
        return self


class FactorSetRef(BaseModel):
    """Which version of which factor set."""

    id: str
    version: int


class DatasetView(BaseModel):
    """A labelled set."""

    id: str
    name: str
    status: DatasetStatus
    factor_set: FactorSetRef
    images: int | None = Field(description="How many labelled images it holds; null until it is ready.")
    digest: str | None = Field(description="SHA-256 of the checked zip; null until it is ready.")
    fault_count: int | None = Field(description="How many faults the validation found; null while it runs.")
    created_at: datetime


class ValidationReport(BaseModel):
    """What the validation found, row by row."""

    model_config = ConfigDict(extra="allow")  # the worker may know more than this version of the plane
    dataset: str
    status: DatasetStatus
    valid: bool | None = Field(description="Null while the validation runs.")
    fault_count: int | None = Field(description="All faults; `errors` holds the first of them.")
    errors: list[dict[str, Any]] = Field(
        description="Each fault: pointer, code, a sentence, and row (header = 1) and column of labels.csv."
    )


class ItemView(BaseModel):
    """One image of a set; an unlabelled one has no labels."""

    id: str = Field(description="Its id in this set, which stays when other images are erased.")
    file: str
    sha256: str
    labels: dict[str, str] = Field(
        description="The cells of labels.csv that are not empty, as they were sent; a weight is among them."
    )


def view(dataset: Dataset) -> DatasetView:
    """Return what is shown of a labelled set."""
    report = dataset.report or {}
    return DatasetView(
        id=dataset.id,
        name=dataset.name,
        status=dataset.status,
        factor_set=FactorSetRef(id=dataset.factor_set_id, version=dataset.factor_set_version),
        images=dataset.images,
        digest=dataset.digest,
        fault_count=report.get("fault_count"),
        created_at=dataset.created_at,
    )


def report_of(dataset: Dataset) -> ValidationReport:
    """Return the validation report; all but the status is empty while the validation runs."""
    found = {"valid": None, "fault_count": None, "errors": [], **(dataset.report or {})}
    return ValidationReport.model_validate({**found, "dataset": dataset.id, "status": dataset.status})


async def create(session: AsyncSession, control: Control, tenant_id: str, wanted: NewDataset) -> Reply:
    """Register a labelled set and queue its validation, both or neither.

    Raises:
        QuotaExceeded, RateLimited: code `quota_exceeded`.
        InvalidInput: code `invalid_items`.
        NotFound: codes `unknown_factor_set`, `unknown_upload`.
        Conflict: code `upload_not_complete`: the upload is still open, or was used for another set.
    """
    # how many images an upload has is known once it is validated; a full tenant is told before
    more: dict[Counted, int] = {"queued_jobs": 1, "images": len(wanted.items or (1,))}
    await quotas.reserve(session, tenant_id, control.settings.quotas, more)
    reference, version = split_reference(wanted.factor_set)
    factor_set = await factor_sets.resolve(session, tenant_id, reference, version)
    if wanted.items is None:
        upload = await uploads.advance(session, tenant_id, str(wanted.upload), expected="complete", to="consumed")
    else:
        names = parse_factor_set(factor_set.document).names
        upload = await _store_items(session, control, tenant_id, wanted.name, wanted.items, names)
    dataset = await datasets.create(
        session,
        tenant_id,
        name=wanted.name,
        factor_set_id=factor_set.id,
        factor_set_version=factor_set.version,
        upload_id=upload.id,
    )
    spec = {
        "dataset_id": dataset.id,
        "upload_id": upload.id,
        "factor_set_id": factor_set.id,
        "factor_set_version": factor_set.version,
    }
    await jobs.create(session, tenant_id, job_type="validate", spec=spec, dataset_id=dataset.id)
    return Reply(view(dataset), 202, {"Location": f"/v1/datasets/{dataset.id}"}, calls="validation_queued")


async def _store_items(
    session: AsyncSession,
    control: Control,
    tenant_id: str,
    name: str,
    items: Sequence[NewItem],
    factors: Sequence[str],
) -> Upload:
    """Store images sent within the request as the upload they would have been."""
    data = await asyncio.to_thread(pack_items, items, factors)
    await quotas.reserve(session, tenant_id, control.settings.quotas, {"bytes": len(data)})
    await usage.add(session, {Slot(tenant_id, hour_of(datetime.now(UTC)), "bytes_uploaded"): len(data)})
    upload_id = new_id("up")
    await asyncio.to_thread(control.objects.put, keys.upload(tenant_id, upload_id), data)
    await uploads.create(
        session,
        tenant_id,
        upload_id=upload_id,
        filename=name,
        size_bytes=len(data),
        sha256=sha256_hex(data),
        multipart_id="",
        part_count=1,
        expires_at=datetime.now(UTC) + timedelta(seconds=control.settings.limits.upload_ttl_seconds),
    )
    return await uploads.advance(session, tenant_id, upload_id, expected="open", to="consumed")


async def list_own(session: AsyncSession, tenant_id: str, turn: Turn) -> Page[DatasetView]:
    """Return one page of the tenant's labelled sets."""
    found, more = await datasets.list_datasets(session, tenant_id, limit=turn.limit, after=turn.after_id("ds"))
    return page_of([view(dataset) for dataset in found], more, lambda dataset: dataset.id)


async def items(control: Control, tenant_id: str, reference: str, turn: Turn) -> Page[ItemView]:
    """Return one page of a ready set's images: labelled ones in the order of labels.csv, then the others.

    Raises:
        NotFound: code `unknown_dataset`.
        Conflict: code `dataset_not_ready`.
        InvalidInput: code `invalid_cursor`: of another list, or its image was erased meanwhile.
    """
    after = turn.after_id("itm")
    async with control.ports.database.transaction(tenant_id) as session:
        dataset = await datasets.resolve(session, tenant_id, reference)
    if dataset.digest is None:
        raise Conflict(
            f"labelled set {dataset.id} is {dataset.status}, it must be ready; see its validation report",
            code="dataset_not_ready",
            param="dataset",
        )
    key = keys.dataset_manifest(tenant_id, dataset.digest)
    return await asyncio.to_thread(_items, await control.read(key), after, turn.limit)


def _items(manifest: bytes, after: str | None, limit: int) -> Page[ItemView]:
    images = Manifest.from_bytes(manifest).all
    start = _place_of(images, after) + 1 if after else 0
    shown = [ItemView(id=image.item_id, **image.model_dump()) for image in images[start : start + limit]]
    return page_of(shown, start + len(shown) < len(images), lambda item: item.id)


def _place_of(images: Sequence[ManifestImage], item: str) -> int:
    for place, image in enumerate(images):
        if image.item_id == item:
            return place
    raise InvalidInput(
        f"{item!r} is not in this set (any more); begin with the first page", code="invalid_cursor", param="after"
    )


async def remove(control: Control, caller: Principal, trail: Trail, reference: str) -> None:
    """Delete a labelled set that no job uses: rows first, then the objects no other set shares."""
    tenant_id = caller.tenant
    async with control.transaction(caller) as session:
        dataset = await datasets.remove(session, tenant_id, reference)
        digest = dataset.digest
        shared = digest is not None and await datasets.digest_in_use(session, tenant_id, digest)
        await trail.note(session, caller, target=dataset.id, before=view(dataset))
    if digest is not None and not shared:
        await asyncio.to_thread(_delete_objects, control.objects, tenant_id, digest)


def _delete_objects(objects: ObjectStore, tenant_id: str, digest: str) -> None:
    objects.delete(keys.dataset_manifest(tenant_id, digest))
    objects.delete(keys.dataset_images(tenant_id, digest))
