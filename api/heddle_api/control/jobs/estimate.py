"""Estimates: what a job would cost and when it would be done, told from the queue and from recent jobs."""

import asyncio
from datetime import datetime

from pydantic import BaseModel, Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.auth import Principal, require
from heddle_api.control.context import Control
from heddle_api.control.jobs import sweeps
from heddle_api.control.jobs.service import FitParts, resolve_fit, resolve_refit
from heddle_api.control.jobs.views import (
    AnyNewJob,
    NewDriftCheck,
    NewEvaluation,
    NewExport,
    NewJob,
    NewPretraining,
    NewRefit,
    NewSweep,
)
from heddle_api.control.once import Reply
from heddle_infra.database import exports
from heddle_infra.database.fair_share import USUAL_COST
from heddle_infra.database.queue_order import OPERATORS, THOUGHT, in_order
from heddle_infra.database.referred import referred
from heddle_infra.database.refits import Parts, card_kind, resolve_evaluation
from heddle_infra.database.throughput import Throughput, measured, measured_as, waiting_estimate
from heddle_platform import keys


class Basis(BaseModel):
    """What an estimate is based on."""

    jobs_measured: int = Field(description="Recent jobs of this type that ended with a result at their first attempt.")
    units_per_second: float | None = Field(description="Cost units done per second in which any of them ran.")
    jobs_ahead: int = Field(description="Waiting jobs, of any tenant, that would go before this one.")
    latents_cached: bool | None = Field(description="Whether the set is encoded already, so that only the fit is left.")
    sentence: str = Field(description="The same in words.")


class EstimateView(BaseModel):
    """What a job would cost and take."""

    type: str
    rows: int | None = Field(description="Images of the labelled set; null while it is validated, or without a set.")
    cost_units: float = Field(description="Rows x latents: what your share of the queue is charged.")
    seconds: float | None = Field(description="How long it would run; null where nothing was measured yet.")
    queue_wait_seconds: float | None = Field(description="How long it would wait first; likewise.")
    estimated_start_at: datetime | None = Field(description="When it would start; null where nothing was measured.")
    estimated_end_at: datetime | None = Field(description="When it would end; likewise.")
    based_on: Basis = Field(description="What the estimate rests on.")


async def estimate(session: AsyncSession, control: Control, owner: Principal, wanted: AnyNewJob) -> Reply:
    """Estimate a job; nothing is stored.

    Raises:
        NotFound, Conflict, InvalidInput: as when it would be queued.
    """
    rows, cached, tenant, cost = None, None, OPERATORS, USUAL_COST
    card = getattr(wanted, "card", "full")
    if isinstance(wanted, NewPretraining):
        await require("admin")(owner)
    elif isinstance(wanted, NewSweep):
        await require("admin")(owner)
        await sweeps.judge(wanted, control.settings.limits)
    elif isinstance(wanted, NewExport):
        tenant = owner.tenant
        await exports.resolve(session, tenant, wanted.adapter)
    elif isinstance(wanted, NewDriftCheck):
        tenant = owner.tenant
        await referred(session, tenant, wanted.adapter)
    else:
        tenant = owner.tenant
        parts = await _resolve(session, tenant, wanted)
        rows, cost = parts.dataset.images, parts.cost
        if isinstance(wanted, NewRefit) and isinstance(parts, Parts):
            card = await card_kind(session, parts.version)
        if parts.dataset.digest is not None:
            key = keys.latents(tenant, parts.dataset.digest, parts.base.digest)
            cached = await asyncio.to_thread(control.objects.head, key) is not None
    order = await in_order(session, thought=(tenant, cost))
    place = next(place for place, (job_id, _) in enumerate(order) if job_id == THOUGHT)
    found = await measured(session, measured_as(wanted.type), card)
    basis = Basis(
        jobs_measured=found.jobs if found else 0,
        units_per_second=round(found.units_per_second, 3) if found else None,
        jobs_ahead=place,
        latents_cached=cached,
        sentence=_sentence(wanted.type, found, place),
    )
    if found is None:
        return Reply(_told(wanted.type, rows, cost, basis), changes=False)
    now = (await session.execute(select(func.now()))).scalar_one()
    told = waiting_estimate(now, sum(each for _, each in order[:place]), cost, found)
    view = _told(wanted.type, rows, cost, basis)
    update = {
        "seconds": round(found.seconds_of(cost), 3),
        "queue_wait_seconds": round((told.start_at - now).total_seconds(), 3) if told.start_at else None,
        "estimated_start_at": told.start_at,
        "estimated_end_at": told.end_at,
    }
    return Reply(view.model_copy(update=update), changes=False)


async def _resolve(
    session: AsyncSession, tenant_id: str, wanted: NewJob | NewRefit | NewEvaluation
) -> FitParts | Parts:
    if isinstance(wanted, NewRefit):
        return await resolve_refit(session, tenant_id, wanted)
    if isinstance(wanted, NewEvaluation):
        return await resolve_evaluation(session, tenant_id, wanted.adapter, wanted.dataset)
    return await resolve_fit(session, tenant_id, wanted)


def _told(job_type: str, rows: int | None, cost: float, basis: Basis) -> EstimateView:
    return EstimateView(
        type=job_type,
        rows=rows,
        cost_units=cost,
        seconds=None,
        queue_wait_seconds=None,
        estimated_start_at=None,
        estimated_end_at=None,
        based_on=basis,
    )


def _sentence(job_type: str, found: Throughput | None, ahead: int) -> str:
    if found is None:
        return f"No {job_type} job has ended with a result yet to go by; {ahead} job(s) wait before it."
    return (
        f"The last {found.jobs} {job_type} job(s) took {found.seconds_each:.2f} s each (median) and went at "
        f"{found.units_per_second:,.0f} units a second together; {ahead} job(s) wait before it."
    )
