"""Jobs: a fit is queued with every reference resolved, so that what it runs on cannot change under it.

Operators have jobs of their own, which belong to no tenant: `tenant_id` None.
"""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.auth import Principal
from heddle_api.control.context import Control
from heddle_api.control.factors.service import split_reference
from heddle_api.control.jobs.attempts import attempts_of
from heddle_api.control.jobs.standing import Standings
from heddle_api.control.jobs.views import (
    EventView,
    JobView,
    NewEvaluation,
    NewJob,
    NewRefit,
    event_view,
    view,
)
from heddle_api.control.once import Reply
from heddle_api.control.page import Page, Turn, page_of
from heddle_infra.database import bases, datasets, factor_sets, jobs, quotas, refits
from heddle_platform import keys
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import Conflict, DataCorrupt, InvalidInput, NotFound
from heddle_platform.ids import is_id
from heddle_platform.records import Base, Dataset, FactorSetVersion, Job, JobStatus, JobType


@dataclass(frozen=True)
class Wanted:
    """Which jobs are listed; None: any."""

    status: JobStatus | None = None
    job_type: JobType | None = None
    dead_letter: bool | None = None


@dataclass(frozen=True)
class FitParts:
    """What a fit refers to, resolved."""

    factor_set: FactorSetVersion
    dataset: Dataset
    base: Base

    @property
    def cost(self) -> float:
        """What the queue charges for it."""
        return refits.charge(self.dataset, self.base)


async def resolve_fit(session: AsyncSession, tenant_id: str, wanted: NewJob) -> FitParts:
    """Resolve every reference of a fit; the set is held until the transaction ends.

    Raises:
        NotFound: codes `unknown_factor_set`, `unknown_dataset`, `unknown_base`.
        Conflict: code `dataset_rejected`.
        InvalidInput: codes `factor_set_mismatch`, `invalid_adapter_name`.
    """
    if is_id(wanted.adapter, "ada"):
        raise InvalidInput(
            f"{wanted.adapter!r} is an id; name the adapter instead", code="invalid_adapter_name", param="adapter"
        )
    reference, version = split_reference(wanted.factor_set)
    factor_set = await factor_sets.resolve(session, tenant_id, reference, version)
    # held until the commit: a validation that ended in between would release the waiting jobs before this one waits
    dataset = await datasets.resolve(session, tenant_id, wanted.dataset, lock=True)
    _check_dataset(dataset, factor_set)
    return FitParts(factor_set, dataset, await bases.resolve(session, wanted.base))


async def create(session: AsyncSession, control: Control, tenant_id: str, wanted: NewJob) -> Reply:
    """Queue a fit; on a set still being validated it waits in status `validating`; raises as `resolve_fit`.

    Raises:
        QuotaExceeded, RateLimited: code `quota_exceeded`.
    """
    await quotas.reserve(session, tenant_id, control.settings.quotas, {"queued_jobs": 1}, adapter=wanted.adapter)
    parts = await resolve_fit(session, tenant_id, wanted)
    job = await jobs.create(
        session,
        tenant_id,
        job_type="fit",
        spec={
            **_fit_spec(wanted.adapter, parts.factor_set, parts.dataset, parts.base),
            **({} if wanted.card == "full" else {"card": wanted.card}),
        },
        dataset_id=parts.dataset.id,
        status="validating" if parts.dataset.status == "validating" else "queued",
        priority=wanted.priority,
    )
    # small fits go in chunks: called for the first of a fleet, a dispatcher would start a chunk of one
    calls = "fit_queued" if wanted.card == "full" else None
    return await queued(session, control, job, parts.cost, calls=calls)


async def create_refit(session: AsyncSession, control: Control, tenant_id: str, wanted: NewRefit) -> Reply:
    """Queue a refit; raises as `refits.resolve_refit`.

    Raises:
        QuotaExceeded, RateLimited: code `quota_exceeded`.
    """
    await quotas.reserve(session, tenant_id, control.settings.quotas, {"queued_jobs": 1})
    parts = await resolve_refit(session, tenant_id, wanted)
    job = await refits.queue_refit(session, parts, trigger=wanted.trigger, priority=wanted.priority)
    reply = await queued(session, control, job, parts.cost, calls="fit_queued")
    return replace(reply, target=f"{job.id} ({wanted.trigger})")  # the trail tells why without the job's row


async def create_evaluation(session: AsyncSession, control: Control, tenant_id: str, wanted: NewEvaluation) -> Reply:
    """Queue an evaluation; raises as `refits.resolve_evaluation`.

    Raises:
        QuotaExceeded, RateLimited: code `quota_exceeded`.
    """
    await quotas.reserve(session, tenant_id, control.settings.quotas, {"queued_jobs": 1})
    parts = await refits.resolve_evaluation(session, tenant_id, wanted.adapter, wanted.dataset)
    job = await refits.queue_evaluation(session, parts, priority=wanted.priority)
    return await queued(session, control, job, parts.cost, calls="evaluation_queued")


async def resolve_refit(session: AsyncSession, tenant_id: str, wanted: NewRefit) -> refits.Parts:
    """Resolve every reference of a refit; see `refits.resolve_refit`.

    Raises:
        InvalidInput: code `invalid_reference`.
    """
    return await refits.resolve_refit(
        session,
        tenant_id,
        wanted.adapter,
        dataset=wanted.dataset,
        factor_set=None if wanted.factor_set is None else split_reference(wanted.factor_set),
        base=wanted.base,
    )


async def queued(session: AsyncSession, control: Control, job: Job, cost: float, *, calls: str | None) -> Reply:
    """Return what is replied to a job that this transaction queued."""
    standing = await control.standings.of_new(session, job, cost)
    return Reply(view(job, standing), 202, {"Location": f"/v1/jobs/{job.id}"}, calls=calls)


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
    refits.refuse_rejected(dataset)
    labelled = (dataset.factor_set_id, dataset.factor_set_version)
    if labelled != (factor_set.id, factor_set.version):
        raise InvalidInput(
            f"labelled set {dataset.id} was labelled with {labelled[0]}@{labelled[1]}, the job asks for "
            f"{factor_set.name} = {factor_set.id}@{factor_set.version}; send the factor set of the labelled set",
            code="factor_set_mismatch",
            param="factor_set",
        )


async def read(control: Control, owner: Principal, job_id: str) -> JobView:
    """Return a job with its place in the queue, when it will be done, and what was tried where it failed.

    Raises:
        NotFound: code `unknown_job`.
    """
    async with control.ports.database.single() as connection:
        job = await jobs.read(connection, owner.tenant_id, job_id)
    standing = control.standings.at_hand(job)
    if standing is not None and job.status != "failed":
        return view(job, standing)
    async with control.transaction(owner) as session:
        [standing] = await control.standings.of(session, job)
        tried = attempts_of(await jobs.all_events(session, job_id)) if job.status == "failed" else None
    return view(job, standing, tried)


async def evaluation(control: Control, owner: Principal, job_id: str) -> bytes:
    """Return what an evaluation found, as it is stored.

    Raises:
        NotFound: codes `unknown_job`, `unknown_evaluation`: it is no evaluation, found nothing yet, or what it found
            was erased.
        DataCorrupt: the stored bytes are not what was written.
    """
    async with control.transaction(owner) as session:
        job = await jobs.get(session, owner.tenant_id, job_id)
    place = (job.result or {}).get("evaluation")
    if job.type != "evaluate" or place is None:
        raise NotFound(
            f"job {job_id} is of type {job.type} and {job.status}; it holds no evaluation", code="unknown_evaluation"
        )
    data = await control.read(keys.evaluation(job.tenant, place["set"], place["adapter"], place["sha256"]))
    if sha256_hex(data) != place["sha256"]:
        raise DataCorrupt(f"the stored evaluation of job {job_id} does not match its digest")
    return data


async def list_own(
    session: AsyncSession, tenant_id: str | None, turn: Turn, wanted: Wanted, standings: Standings
) -> Page[JobView]:
    """Return one page of the tenant's jobs, or of the operators'."""
    found, more = await jobs.list_jobs(
        session,
        tenant_id,
        limit=turn.limit,
        after=turn.after_id("job"),
        status=wanted.status,
        job_type=wanted.job_type,
        dead_letter=wanted.dead_letter,
    )
    shown = [view(job, standing) for job, standing in zip(found, await standings.of(session, *found), strict=True)]
    return page_of(shown, more, lambda job: job.id)


async def retry(session: AsyncSession, tenant_id: str | None, job_id: str, standings: Standings) -> Reply:
    """Queue a failed job again.

    Raises:
        NotFound: code `unknown_job`.
        Conflict: codes `not_failed`, `not_retryable`.
    """
    job = await jobs.send_again(session, tenant_id, job_id)
    [standing] = await standings.of(session, job)
    return Reply(view(job, standing), 202, {"Location": f"/v1/jobs/{job.id}"}, calls="job_queued")


async def cancel(session: AsyncSession, tenant_id: str | None, job_id: str) -> Reply:
    """Cancel what a tenant or an operator queued.

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
    cancelled = await jobs.cancel(session, tenant_id, job_id)
    return Reply(view(cancelled), calls="job_cancelled" if cancelled.cancel_requested else None)


async def events(session: AsyncSession, tenant_id: str | None, job_id: str, turn: Turn) -> Page[EventView]:
    """Return one page of a job's history, oldest first."""
    await jobs.get(session, tenant_id, job_id)
    found = await jobs.events(session, job_id, after=turn.after_number() or 0, limit=turn.limit + 1)
    shown = [event_view(event) for event in found[: turn.limit]]
    return page_of(shown, len(found) > turn.limit, lambda event: event.id)
