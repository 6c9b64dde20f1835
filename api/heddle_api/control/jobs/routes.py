"""Routes of jobs: `/v1/jobs`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import StreamingResponse

from heddle_api.auth import Caller, Principal, documented, require
from heddle_api.control.context import CurrentControl
from heddle_api.control.jobs import drift_checks, estimate, exports, pretrainings, service, stream, sweeps
from heddle_api.control.jobs.estimate import EstimateView
from heddle_api.control.jobs.exports import ArchiveView
from heddle_api.control.jobs.views import (
    AnyNewJob,
    EventView,
    JobView,
    NewDriftCheck,
    NewEvaluation,
    NewExport,
    NewPretraining,
    NewRefit,
    NewSweep,
)
from heddle_api.control.negotiate import choose
from heddle_api.control.once import OncePost
from heddle_api.control.page import AskedPage, Page
from heddle_infra.database import jobs
from heddle_platform.digest import sha256_hex
from heddle_platform.records import JobStatus, JobType

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
_JSON, _SSE = "application/json", "text/event-stream"


async def owner_of_jobs(
    principal: Caller, _documented: Annotated[None, documented("jobs", "admin")] = None
) -> Principal:
    """Let a tenant's key with the scope jobs pass, and an operator's with the scope admin."""
    return await require("admin" if principal.tenant_id is None else "jobs")(principal)


JobsKey = Annotated[Principal, Depends(owner_of_jobs)]


@router.post("", status_code=202, response_model=JobView, summary="Queue a job")
async def create_job(body: AnyNewJob, owner: JobsKey, control: CurrentControl, post: OncePost) -> Response:
    """Queue what a tenant asks for (a job on a labelled set starts once that is validated) or, with an operator's key,
    the training of a base or a sweep over recipes."""
    if isinstance(body, NewPretraining):
        await require("admin")(owner)
        return await post.once(owner, lambda session: pretrainings.create(session, control, body))
    if isinstance(body, NewSweep):
        await require("admin")(owner)
        return await post.once(owner, lambda session: sweeps.create(session, control, body))
    tenant_id = owner.tenant
    if isinstance(body, NewRefit):
        return await post.once(owner, lambda session: service.create_refit(session, control, tenant_id, body))
    if isinstance(body, NewEvaluation):
        return await post.once(owner, lambda session: service.create_evaluation(session, control, tenant_id, body))
    if isinstance(body, NewDriftCheck):
        return await post.once(owner, lambda session: drift_checks.create(session, control, tenant_id, body))
    if isinstance(body, NewExport):
        return await post.once(owner, lambda session: exports.create(session, control, tenant_id, body))
    return await post.once(owner, lambda session: service.create(session, control, tenant_id, body))


@router.post("/estimate", response_model=EstimateView, summary="Estimate a job")
async def estimate_job(body: AnyNewJob, owner: JobsKey, control: CurrentControl, post: OncePost) -> Response:
    """Tell what a job would cost and when it would be done, without queueing it."""
    return await post.once(owner, lambda session: estimate.estimate(session, control, owner, body))


@router.get("", summary="List jobs")
async def list_jobs(
    owner: JobsKey,
    control: CurrentControl,
    turn: AskedPage,
    status: Annotated[JobStatus | None, Query(description="Only jobs in this status.")] = None,
    job_type: Annotated[JobType | None, Query(alias="type", description="Only jobs of this type.")] = None,
    dead_letter: Annotated[
        bool | None, Query(description="Only jobs whose attempts were used up (true), or only others.")
    ] = None,
) -> Page[JobView]:
    """List jobs, newest first; validations and erasures only where asked for by `type`."""
    async with control.transaction(owner) as session:
        return await service.list_own(
            session, owner.tenant_id, turn, service.Wanted(status, job_type, dead_letter), control.standings
        )


@router.get("/{job_id}", response_model=JobView, summary="Read a job")
async def get_job(job_id: str, owner: JobsKey, control: CurrentControl) -> Response:
    """Read a job: where it stands, why it failed, or what it made."""
    found = await service.read(control, owner, job_id)
    # written here: this is what everybody polls, and FastAPI would check every field a second time
    return Response(found.model_dump_json(), media_type=_JSON)


@router.get(
    "/{job_id}/evaluation",
    response_class=Response,
    responses={200: {"content": {_JSON: {"schema": {"type": "object"}}}}},
    summary="Read an evaluation",
)
async def get_evaluation(job_id: str, owner: JobsKey, control: CurrentControl) -> Response:
    """Read all that an evaluation found: the job's result, and which levels were taken for which."""
    data = await service.evaluation(control, owner, job_id)
    return Response(data, media_type=_JSON, headers={"ETag": f'"{sha256_hex(data)}"'})


@router.get("/{job_id}/export", summary="Find an export's archive")
async def get_export(job_id: str, owner: JobsKey, control: CurrentControl) -> ArchiveView:
    """Tell where an export's archive can be read for the next quarter of an hour, without a key."""
    return await exports.archive(control, owner, job_id)


@router.get(
    "/{job_id}/report",
    response_class=Response,
    responses={200: {"content": {sweeps.HTML: {}, sweeps.JSON: {"schema": {"type": "object"}}}}},
    summary="Read a sweep's report",
)
async def get_report(
    job_id: str, owner: JobsKey, control: CurrentControl, accept: Annotated[str | None, Header()] = None
) -> Response:
    """Read what a sweep found: as a page, or all of it as data by `Accept: application/json`."""
    return await sweeps.report(control, owner, job_id, accept)


@router.post("/{job_id}/cancel", response_model=JobView, summary="Cancel a job")
async def cancel_job(job_id: str, owner: JobsKey, post: OncePost) -> Response:
    """Cancel a job: at once while it waits or awaits approval, within two seconds while it runs."""
    return await post.once(owner, lambda session: service.cancel(session, owner.tenant_id, job_id))


@router.post("/{job_id}/retry", status_code=202, response_model=JobView, summary="Send a failed job again")
async def retry_job(job_id: str, owner: JobsKey, control: CurrentControl, post: OncePost) -> Response:
    """Queue a job that failed again, with all its attempts before it; one whose outcome stands is refused."""
    return await post.once(owner, lambda session: service.retry(session, owner.tenant_id, job_id, control.standings))


@router.get(
    "/{job_id}/events",
    response_model=Page[EventView],
    responses={200: {"content": {_SSE: {"schema": {"type": "string"}}}}},
    summary="Follow a job",
)
async def job_events(
    job_id: str,
    owner: JobsKey,
    control: CurrentControl,
    turn: AskedPage,
    accept: Annotated[str | None, Header()] = None,
    last_event_id: Annotated[
        str | None,
        Header(description="Resume a stream behind this event.", json_schema_extra={"pattern": "^[0-9]{1,18}$"}),
    ] = None,
) -> Response | Page[EventView]:
    """Read a job's history, oldest first: a JSON page, or a stream until its end (Accept: text/event-stream)."""
    if choose(accept, (_JSON, _SSE)) == _SSE:
        after = stream.last_event_id(last_event_id) or turn.after_number() or 0
        control.streams.check(owner.tenant_id)
        async with control.transaction(owner) as session:
            await jobs.get(session, owner.tenant_id, job_id)
        return StreamingResponse(
            control.streams.counted(owner.tenant_id, stream.follow(control, owner, job_id, after)),
            media_type=_SSE,
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
    async with control.transaction(owner) as session:
        return await service.events(session, owner.tenant_id, job_id, turn)
