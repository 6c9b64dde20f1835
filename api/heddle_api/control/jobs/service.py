"""Jobs: a fit is queued with every reference resolved, so that what it runs on cannot change under it.

Operators have jobs of their own, which belong to no tenant: `tenant_id` None.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.control.context import Control
from heddle_api.control.datasets.service import FactorSetRef
from heddle_api.control.factors.service import split_reference
from heddle_api.control.once import Reply
from heddle_api.control.page import Page, Turn, page_of
from heddle_api.control.wire import Handle, Reference
from heddle_infra.database import bases, datasets, factor_sets, jobs, queue, quotas
from heddle_platform.digest import canonical_json
from heddle_platform.errors import Conflict, InvalidInput
from heddle_platform.ids import is_id
from heddle_platform.quota import Counted
from heddle_platform.records import Base, Dataset, FactorSetVersion, Job, JobError, JobEvent, JobStatus, JobType

_RECIPE_MAX_BYTES: Final = 64 * 1024


class NewJob(BaseModel):
    """A fit to be: a labelled set, read by a factor set, on a base, giving the next version of an adapter."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"type": "fit", "adapter": "avatars", "factor_set": "avatars", "dataset": "spring", "base": "default"}
            ]
        },
    )
    type: Literal["fit"]
    adapter: Handle = Field(description="Name of the adapter; made by its first fit. Lower-case letters, digits, _, -.")
    factor_set: Reference = Field(description="Id, name, or name@version; the one the set was labelled with.")
    dataset: Reference = Field(description="Id of a labelled set, or a name: the newest not rejected one.")
    base: Reference = Field("default", description="Id, alias or name of a published base.")


class NewPretraining(BaseModel):
    """A base to be trained; the recipe is read whole where it runs, and what is wrong with it fails the job at once."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "type": "pretrain",
                    "recipe": {"name": "sprites", "corpus": {"images": {"dsprites": 20000}}, "steps": 5000},
                    "workers": 1,
                }
            ]
        },
    )
    type: Literal["pretrain"]
    recipe: dict[str, Any] = Field(description="A base recipe as `heddle base train` takes it, as JSON.")
    workers: int = Field(1, ge=1, le=64, description="Processes that share every batch and average their gradients.")


AnyNewJob = Annotated[NewJob | NewPretraining, Field(discriminator="type")]


class BaseRef(BaseModel):
    """Which base, exactly."""

    id: str
    name: str
    digest: str


class JobView(BaseModel):
    """A job."""

    id: str
    type: JobType
    status: JobStatus
    queue_position: int | None = Field(description="How many jobs go before this one; null when it does not wait.")
    progress: float = Field(description="Share done, 0 to 1.")
    stage: str | None = Field(description="What is being done at the moment.")
    attempt: int = Field(description="How many times the job was started.")
    cancel_requested: bool
    adapter: str | None
    factor_set: FactorSetRef | None
    dataset: str | None
    base: BaseRef | None
    error: JobError | None = Field(description="Why it failed: a stable code and a sentence.")
    result: dict[str, Any] | None = Field(
        description="Of a finished fit: adapter, version and card; of a pretraining: base and card."
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class EventView(BaseModel):
    """One thing that happened to a job."""

    id: str
    type: str
    data: dict[str, Any]
    created_at: datetime


def view(job: Job, queue_position: int | None) -> JobView:
    """Return what is shown of a job."""
    spec = job.spec
    factor_set = (
        FactorSetRef(id=spec["factor_set_id"], version=spec["factor_set_version"]) if "factor_set_id" in spec else None
    )
    base = (
        BaseRef(id=spec["base_id"], name=spec["base_name"], digest=spec["base_digest"]) if "base_id" in spec else None
    )
    shown = job.model_dump(exclude={"tenant_id", "spec"})
    return JobView(
        **shown,
        queue_position=queue_position,
        adapter=spec.get("adapter"),
        factor_set=factor_set,
        dataset=spec.get("dataset_id"),
        base=base,
    )


def event_view(event: JobEvent) -> EventView:
    """Return what is shown of an event."""
    return EventView(id=str(event.id), type=event.type, data=event.data, created_at=event.created_at)


async def create(session: AsyncSession, control: Control, tenant_id: str, wanted: NewJob) -> Reply:
    """Queue a fit; on a set still being validated it waits in status `validating`.

    Raises:
        QuotaExceeded, RateLimited: code `quota_exceeded`.
        NotFound: codes `unknown_factor_set`, `unknown_dataset`, `unknown_base`.
        Conflict: code `dataset_rejected`.
        InvalidInput: codes `factor_set_mismatch`, `invalid_adapter_name`.
    """
    if is_id(wanted.adapter, "ada"):
        raise InvalidInput(
            f"{wanted.adapter!r} is an id; name the adapter instead", code="invalid_adapter_name", param="adapter"
        )
    await _reserve(session, control, tenant_id, wanted.adapter)
    reference, version = split_reference(wanted.factor_set)
    factor_set = await factor_sets.resolve(session, tenant_id, reference, version)
    # held until the commit: a validation that ended in between would release the waiting jobs before this one waits
    dataset = await datasets.resolve(session, tenant_id, wanted.dataset, lock=True)
    _check_dataset(dataset, factor_set)
    base = await bases.resolve(session, wanted.base)
    job = await jobs.create(
        session,
        tenant_id,
        job_type="fit",
        spec=_fit_spec(wanted.adapter, factor_set, dataset, base),
        dataset_id=dataset.id,
        status="validating" if dataset.status == "validating" else "queued",
    )
    shown = view(job, await queue.position(session, job.id))
    return Reply(shown, 202, {"Location": f"/v1/jobs/{job.id}"})


async def _reserve(session: AsyncSession, control: Control, tenant_id: str, adapter: str) -> None:
    more: dict[Counted, int] = {"queued_jobs": 1}
    if not await quotas.knows_adapter(session, tenant_id, adapter):
        more["adapters"] = 1
    await quotas.reserve(session, tenant_id, control.settings.quotas, more)


async def create_pretraining(session: AsyncSession, wanted: NewPretraining) -> Reply:
    """Queue the training of a base.

    Raises:
        InvalidInput: code `invalid_recipe`: it names no base, or is far too long for one.
    """
    size = len(canonical_json(wanted.recipe))
    if size > _RECIPE_MAX_BYTES:
        raise InvalidInput(
            f"the recipe has {size} bytes, at most {_RECIPE_MAX_BYTES} are taken; a recipe names its corpus and does "
            "not hold it",
            code="invalid_recipe",
            param="recipe",
        )
    name = wanted.recipe.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidInput(
            "the recipe has no name; the base is published under it", code="invalid_recipe", param="recipe"
        )
    spec = {"recipe": wanted.recipe, "workers": wanted.workers}
    job = await jobs.create(session, None, job_type="pretrain", spec=spec, dataset_id=None)
    shown = view(job, await queue.position(session, job.id))
    return Reply(shown, 202, {"Location": f"/v1/jobs/{job.id}"})


def _fit_spec(adapter: str, factor_set: FactorSetVersion, dataset: Dataset, base: Base) -> dict[str, Any]:
    return {
        "adapter": adapter,
        "factor_set_id": factor_set.id,
        "factor_set_version": factor_set.version,
        "dataset_id": dataset.id,
        "base_id": base.id,
        "base_digest": base.digest,
        "base_name": base.name,
    }


def _check_dataset(dataset: Dataset, factor_set: FactorSetVersion) -> None:
    if dataset.status == "rejected":
        faults = (dataset.report or {}).get("fault_count")
        raise Conflict(
            f"labelled set {dataset.id} was rejected with {faults} fault(s); "
            f"read GET /v1/datasets/{dataset.id}/validation, mend the set and upload it again",
            code="dataset_rejected",
            param="dataset",
        )
    labelled = (dataset.factor_set_id, dataset.factor_set_version)
    if labelled != (factor_set.id, factor_set.version):
        raise InvalidInput(
            f"labelled set {dataset.id} was labelled with {labelled[0]}@{labelled[1]}, the job asks for "
            f"{factor_set.name} = {factor_set.id}@{factor_set.version}; send the factor set of the labelled set",
            code="factor_set_mismatch",
            param="factor_set",
        )


async def read(session: AsyncSession, tenant_id: str | None, job_id: str) -> JobView:
    """Return a job with its place in the queue."""
    job = await jobs.get(session, tenant_id, job_id)
    return view(job, await queue.position(session, job_id) if job.status == "queued" else None)


async def list_own(
    session: AsyncSession, tenant_id: str | None, turn: Turn, status: JobStatus | None, job_type: JobType | None
) -> Page[JobView]:
    """Return one page of the tenant's jobs, or of the operators'."""
    if tenant_id is None:
        job_type = job_type or "pretrain"
    found, more = await jobs.list_jobs(
        session, tenant_id, limit=turn.limit, after=turn.after_id("job"), status=status, job_type=job_type
    )
    waits = any(job.status == "queued" for job in found)
    places = await queue.positions(session) if waits else {}
    return page_of([view(job, places.get(job.id)) for job in found], more, lambda job: job.id)


async def cancel(session: AsyncSession, tenant_id: str | None, job_id: str) -> Reply:
    """Cancel a fit or a pretraining.

    Raises:
        NotFound: code `unknown_job`.
        Conflict: codes `job_finished`, `validation_not_cancellable`, `erasure_not_cancellable`.
    """
    job = await jobs.get(session, tenant_id, job_id, lock=True)
    if job.type == "validate":
        raise Conflict(
            f"job {job_id} validates labelled set {job.spec['dataset_id']} and ends by itself; "
            "delete the set afterwards",
            code="validation_not_cancellable",
        )
    if job.type == "erase":
        raise Conflict(f"job {job_id} erases images and ends by itself", code="erasure_not_cancellable")
    return Reply(view(await jobs.cancel(session, tenant_id, job_id), None))


async def events(session: AsyncSession, tenant_id: str | None, job_id: str, turn: Turn) -> Page[EventView]:
    """Return one page of a job's history, oldest first."""
    await jobs.get(session, tenant_id, job_id)
    found = await jobs.events(session, job_id, after=turn.after_number() or 0, limit=turn.limit + 1)
    shown = [event_view(event) for event in found[: turn.limit]]
    return page_of(shown, len(found) > turn.limit, lambda event: event.id)
