"""Sweeps asked for: a plan judged before it is queued, and what it found, as a page or as data."""

import asyncio
from typing import Final

from fastapi import Response
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.auth import Principal
from heddle_api.control.context import Control
from heddle_api.control.jobs.pretrainings import check_size
from heddle_api.control.jobs.service import queued
from heddle_api.control.jobs.views import NewSweep
from heddle_api.control.negotiate import choose
from heddle_api.control.once import Reply
from heddle_api.control.rollouts.page import PAGE_POLICY
from heddle_infra.database import jobs
from heddle_infra.database.fair_share import USUAL_COST
from heddle_platform import keys
from heddle_platform.base.sweeps.asked import judge_plan
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import DataCorrupt, InvalidInput, NotFound
from heddle_platform.settings import LimitSettings

HTML: Final = "text/html"
JSON: Final = "application/json"
_KINDS: Final = {HTML: "html", JSON: "json"}


async def judge(wanted: NewSweep, limits: LimitSettings) -> None:
    """Refuse a plan that cannot be run.

    Raises:
        InvalidInput: code `plan_too_long`, and as `judge_plan`; `param` is the dotted name of the field.
    """
    check_size(wanted.plan, "plan", "plan_too_long")
    try:
        await asyncio.to_thread(judge_plan, wanted.plan, most_trainings=limits.sweep_max_trainings)
    except InvalidInput as error:
        param = "plan" if error.param == "sweep" else f"plan.{error.param}"  # a fault of no field alone
        raise InvalidInput(error.message, code=error.code, param=param) from error


async def create(session: AsyncSession, control: Control, wanted: NewSweep) -> Reply:
    """Queue a sweep; raises as `judge`."""
    await judge(wanted, control.settings.limits)
    job = await jobs.create(session, None, job_type="sweep", spec={"plan": wanted.plan}, dataset_id=None)
    return await queued(session, control, job, USUAL_COST, calls="sweep_queued")


async def report(control: Control, owner: Principal, job_id: str, accept: str | None) -> Response:
    """Return what a sweep found: a page, or `sweep.json` by Accept.

    Raises:
        NotFound: codes `unknown_job`, `unknown_report`: it is no sweep, or has not ended.
        InvalidInput: code `not_acceptable`.
        DataCorrupt: the stored bytes are not what was written.
    """
    media_type = choose(accept, (HTML, JSON))
    async with control.transaction(owner) as session:
        job = await jobs.get(session, owner.tenant_id, job_id)
    place = (job.result or {}).get("report")
    if job.type != "sweep" or place is None:
        raise NotFound(
            f"job {job_id} is of type {job.type} and {job.status}; it holds no report", code="unknown_report"
        )
    kind = _KINDS[media_type]
    data = await control.read(keys.sweep_report(job.id, place["sha256"][kind], kind))
    if sha256_hex(data) != place["sha256"][kind]:
        raise DataCorrupt(f"the stored report of job {job_id} does not match its digest")
    headers = {"ETag": f'"{place["sha256"][kind]}"', "Vary": "Accept", "X-Content-Type-Options": "nosniff"}
    if media_type == HTML:
        headers["Content-Security-Policy"] = PAGE_POLICY
    return Response(data, media_type=media_type, headers=headers)
