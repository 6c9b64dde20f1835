"""Erasures: images named by item or by digest, queued as a job, reported on with what took their place."""

import asyncio
from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.auth import Principal
from heddle_api.control.context import Control
from heddle_api.control.once import Reply
from heddle_api.control.page import Page, Turn, page_of
from heddle_api.control.wire import Asked, Reference
from heddle_infra.database import datasets, erasures
from heddle_infra.signing import SignedDocument
from heddle_platform import keys
from heddle_platform.errors import Conflict, Detail, InvalidInput, NotFound
from heddle_platform.manifest import Manifest
from heddle_platform.records import Dataset, GateVerdict, Job, JobError, JobStatus, VersionStatus

MOST_AT_ONCE: Final = 10_000
_NAMED_IN_ERRORS: Final = 20

ItemId = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ErasureStatus = Literal["queued", "running", "done", "failed"]

_STATUS: Final[dict[JobStatus, ErasureStatus]] = {
    "queued": "queued",
    "running": "running",
    "scoring": "running",
    "succeeded": "done",
    "failed": "failed",
    "cancelled": "failed",
}


class NewErasure(Asked):
    """Images to erase: items of a labelled set, or the SHA-256 of image files, or both."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"dataset": "spring", "items": ["itm_01jd0000000000000000000000"], "reason": "asked by the person"},
                {"images": ["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]},
            ],
            "oneOf": [
                {
                    "required": ["dataset", "items"],
                    "properties": {"dataset": {"type": "string"}, "items": {"type": "array", "minItems": 1}},
                },
                {
                    "required": ["images"],
                    "properties": {
                        "images": {"type": "array", "minItems": 1},
                        "dataset": {"type": "null"},
                        "items": {"type": "array", "maxItems": 0},
                    },
                },
            ],
        },
    )
    dataset: Reference | None = Field(None, description="Labelled set of the items: its id, or the newest of a name.")
    items: list[ItemId] = Field(
        [],
        max_length=MOST_AT_ONCE,
        description="Ids as GET /v1/datasets/{id}/items shows them. Their images are erased wherever they stand: every "
        "copy of the same file, in every labelled set of yours.",
    )
    images: list[Sha256] = Field(
        [], max_length=MOST_AT_ONCE, description="SHA-256 of image files as they were uploaded, in any of your sets."
    )
    reason: Annotated[str, StringConstraints(max_length=2_000)] | None = Field(
        None, description="For your own records; it is shown with the request and not in the certificate."
    )


class ErasedCounts(BaseModel):
    """How much went."""

    images: int = Field(description="Images, copies counted.")
    labelled_rows: int = Field(description="How many of them were labelled.")
    latents: int = Field(description="Stored latents: one for each image and base.")
    labelled_sets: int
    adapter_versions: int


class SetState(BaseModel):
    """A labelled set's archive: its SHA-256 and how many images it holds."""

    digest: str
    images: int


class SetErasure(BaseModel):
    """A labelled set that got shorter."""

    dataset: str
    before: SetState
    after: SetState


class Withdrawal(BaseModel):
    """Why no version can take the place."""

    code: str
    message: str


class AdapterErasure(BaseModel):
    """Versions of an adapter that learnt from the images, and the one that takes their place."""

    adapter: str
    adapter_id: str
    versions: list[int] = Field(description="The versions that went; their files are deleted.")
    replaced_by: int | None = Field(description="The version fitted without the images; null if withdrawn.")
    status: VersionStatus | None = Field(description="Where that one stands; what was served stays served.")
    verdict: GateVerdict | None = Field(description="What the gate says of it; factors that fail are refused by it.")
    before: str = Field(description="SHA-256 of adapter.npz with the images.")
    after: str | None = Field(description="SHA-256 of adapter.npz without them.")
    rows_removed: int
    difference: float | None = Field(
        description="Largest difference of the closed-form matrices: sums less the rows, against the rows that stay."
    )
    tolerance: float | None
    withdrawn: Withdrawal | None = Field(description="Set if the rows that stay cannot be fitted: no alias is left.")


class ErasureView(BaseModel):
    """An erasure."""

    id: str
    status: ErasureStatus
    dataset: str | None
    items: list[str]
    images: list[str] = Field(description="SHA-256 of all images that it erases.")
    reason: str | None
    stage: str | None = Field(description="What is being done at the moment.")
    progress: float = Field(description="Share done, 0 to 1.")
    attempt: int = Field(description="How many times the job was started.")
    error: JobError | None = Field(description="Why it failed; nothing was erased then.")
    erased: ErasedCounts | None = Field(description="Null until it is done, as all below.")
    labelled_sets: list[SetErasure]
    adapters: list[AdapterErasure]
    cache_epoch: int | None = Field(description="What was cached before this epoch of yours is never asked for again.")
    cache_entries: int | None = Field(
        description="How many cached latents and pictures of yours were deleted; null while it is not done, or if the "
        "cache was away: then they are out of reach, and their time runs out within a day."
    )
    certificate: SignedDocument | None = Field(
        description="Check it with `heddle certificate verify`, or: Ed25519 over the document's canonical JSON (sorted "
        "keys, no spaces, UTF-8) with the key of GET /v1/signing_key."
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class SigningKey(BaseModel):
    """The public half of the key that certificates are signed with."""

    algorithm: Literal["ed25519"] = "ed25519"
    public_key: str = Field(description="64 hexadecimal digits.")


def view(job: Job) -> ErasureView:
    """Return what is shown of an erasure; what went is told once all of it went."""
    status, spec = _STATUS[job.status], job.spec
    found: dict[str, Any] = dict.fromkeys(("erased", "cache_epoch", "cache_entries", "certificate"))
    found |= {"labelled_sets": [], "adapters": []}
    if status == "done":
        found |= job.result or {}
    return ErasureView.model_validate(
        {
            **job.model_dump(include={"id", "stage", "progress", "attempt", "created_at", "started_at", "finished_at"}),
            **found,
            "status": status,
            "error": job.error if status == "failed" else None,
            "dataset": spec.get("dataset_id"),
            "items": spec.get("items", []),
            "images": spec["images"],
            "reason": spec.get("reason"),
        }
    )


async def create(session: AsyncSession, control: Control, caller: Principal, wanted: NewErasure) -> Reply:
    """Queue an erasure.

    Raises:
        NotFound: codes `unknown_dataset`, `unknown_item`, `unknown_image`: nothing is erased if one is unknown.
        Conflict: code `dataset_not_ready`.
        InvalidInput: codes `nothing_to_erase`, `dataset_missing`, `items_missing`.
    """
    _check(wanted)
    spec = {"items": wanted.items, "reason": wanted.reason, "key_id": caller.key_id}
    digests = set(wanted.images)
    if wanted.dataset is not None:
        dataset = await datasets.resolve(session, caller.tenant, wanted.dataset)
        digests |= await _digests_of(control, dataset, wanted.items)
        spec["dataset_id"] = dataset.id
    await _check_images(control, await erasures.ready_sets(session, caller.tenant), wanted.images)
    job = await erasures.create(session, caller.tenant, {**spec, "images": sorted(digests)})
    return Reply(view(job), 202, {"Location": f"/v1/erasure_requests/{job.id}"})


async def list_own(session: AsyncSession, tenant_id: str, turn: Turn) -> Page[ErasureView]:
    """Return one page of the tenant's erasures."""
    found, more = await erasures.list_erasures(session, tenant_id, limit=turn.limit, after=turn.after_id("era"))
    return page_of([view(job) for job in found], more, lambda erasure: erasure.id)


def _check(wanted: NewErasure) -> None:
    if not wanted.items and not wanted.images:
        raise InvalidInput(
            f"0 items and 0 images are named, 1 to {MOST_AT_ONCE} of either are needed",
            code="nothing_to_erase",
            param="items" if wanted.dataset else "images",
        )
    if wanted.items and wanted.dataset is None:
        raise InvalidInput(
            f"{len(wanted.items)} item(s) are named and no labelled set; send `dataset`, the set they are items of",
            code="dataset_missing",
            param="dataset",
        )
    if wanted.dataset is not None and not wanted.items:
        raise InvalidInput(
            "a labelled set is named and 0 of its items; name items, or leave `dataset` out: images are erased from "
            "every set",
            code="items_missing",
            param="items",
        )


async def _digests_of(control: Control, dataset: Dataset, items: Collection[str]) -> set[str]:
    if dataset.digest is None:
        raise Conflict(
            f"labelled set {dataset.id} is {dataset.status}, it must be ready; see its validation report",
            code="dataset_not_ready",
            param="dataset",
        )
    manifest = await _manifest(control, dataset.tenant_id, dataset.digest)
    known = await asyncio.to_thread(lambda: {image.item_id: image.sha256 for image in manifest.all})
    _refuse_unknown([item for item in items if item not in known], len(items), "item", f"labelled set {dataset.id}")
    return {known[item] for item in items}


async def _check_images(control: Control, sets: list[Dataset], images: Collection[str]) -> None:
    missing = set(images)
    for digest in {dataset.digest for dataset in sets}:
        if missing:
            manifest = await _manifest(control, sets[0].tenant_id, str(digest))
            missing -= {image.sha256 for image in manifest.all}
    _refuse_unknown([image for image in images if image in missing], len(images), "image", "any labelled set of yours")


def _refuse_unknown(unknown: list[str], named: int, what: str, where: str) -> None:
    if unknown:
        raise NotFound(
            f"{len(unknown)} of {named} {what}(s) are not in {where}, the first: {unknown[0]!r}; nothing was erased",
            code=f"unknown_{what}",
            param=f"{what}s",
            details=[
                Detail(f"/{what}s", f"unknown_{what}", f"{one!r} is not in {where}")
                for one in unknown[:_NAMED_IN_ERRORS]
            ],
        )


async def _manifest(control: Control, tenant_id: str, digest: str) -> Manifest:
    return await asyncio.to_thread(Manifest.from_bytes, await control.read(keys.dataset_manifest(tenant_id, digest)))
