"""The `refit` job: an adapter is fitted anew with what it was last fitted with, or with what has come since.

A fit in all but two things: the version says why it was made and of which, and where nothing has changed there is none.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import adapters, datasets, jobs, usage
from heddle_infra.database.engine import Database
from heddle_infra.database.refits import made_by
from heddle_infra.database.versions import NewVersion
from heddle_platform.errors import NotFound
from heddle_platform.records import AdapterVersion, Job, JobError
from heddle_platform.telemetry import code_version
from heddle_platform.usage import Slot, hour_of
from heddle_workers.fit_job import FitWork, ending_of
from heddle_workers.progress import Report
from heddle_workers.work import Ending

_OF_THE_DAY: Final = ("gate", "refit")  # parts of a card that what it was fitted with does not decide

log = structlog.get_logger()


@dataclass(frozen=True)
class _Before:
    """The version that is fitted anew, whether of the same set, factor set and base, and by which code."""

    version: AdapterVersion
    alike: bool
    code_version: str | None


class RefitWork:
    """Refits adapters.

    Spec of the job: that of a fit, and {adapter_id, version} that are fitted anew, and `trigger`, why.
    """

    def __init__(self, database: Database, fits: FitWork) -> None:
        self._database = database
        self._fits = fits

    async def run(self, job: Job, report: Report) -> Ending:
        """Fit, unless nothing has changed; see `Work.run`."""
        before = await self._before(job)
        if before.alike and before.code_version == code_version():
            return _unchanged(job, before.version, "its labelled set, factor set, base and code are what they were")
        ending = await self._fits.run(job, report)
        outcome = ending.fit
        if outcome is None:
            return ending
        if before.alike and _same(outcome.new, before.version):
            return _unchanged(job, before.version, "it was fitted anew, and is the same to the byte")
        refit = {"trigger": job.spec["trigger"], "of": job.spec["version"]}
        new = replace(outcome.new, card={**outcome.new.card, "refit": refit})
        more = {"trigger": refit["trigger"], "refit_of": refit["of"], "unchanged": False}
        return ending_of(replace(outcome, new=new, more=more), ending.tidy)

    def give_up(self, job: Job, error: JobError) -> Ending:
        """Fail; see `Work.give_up`."""
        return self._fits.give_up(job, error)

    def cancel(self, job: Job) -> Ending:
        """Cancel; see `Work.cancel`."""
        return self._fits.cancel(job)

    async def _before(self, job: Job) -> _Before:
        spec = job.spec
        async with self._database.transaction(job.tenant) as session:
            version = await adapters.version(session, job.tenant, spec["adapter_id"], spec["version"])
            made = await made_by(session, version)
            alike = (
                version.status != "erased"
                and (version.factor_set_id, version.factor_set_version)
                == (spec["factor_set_id"], spec["factor_set_version"])
                and version.base_digest == spec["base_digest"]
                and await _same_set(session, job, version)
            )
        told = made.result if made is not None else None
        return _Before(version, alike, (told or {}).get("code_version"))


async def _same_set(session: AsyncSession, job: Job, version: AdapterVersion) -> bool:
    """Tell whether the set is the version's, or one of the same images and labels."""
    if version.dataset_id == job.spec["dataset_id"]:
        return True  # where images of it were erased, so was the version
    try:
        before = await datasets.resolve(session, job.tenant, version.dataset_id)
        now = await datasets.resolve(session, job.tenant, job.spec["dataset_id"])
    except NotFound:
        return False
    return before.digest is not None and before.digest == now.digest


def _same(new: NewVersion, before: AdapterVersion) -> bool:
    return new.digest == before.digest and _lasting(new.card) == _lasting(before.card)


def _lasting(card: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in card.items() if name not in _OF_THE_DAY}


def _unchanged(job: Job, version: AdapterVersion, why: str) -> Ending:
    result = {
        "adapter": job.spec["adapter"],
        "adapter_id": version.adapter_id,
        "version": version.version,
        "verdict": version.verdict,
        "unchanged": True,
        "reasons": [f"version {version.version} stands: {why}"],
        "trigger": job.spec["trigger"],
        "refit_of": version.version,
    }
    log.info("refit_unchanged", version=version.version)

    async def record(session: AsyncSession) -> None:
        await jobs.close(session, job.id, status="succeeded", result=result)
        await usage.add(session, Counter({Slot(job.tenant, hour_of(datetime.now(UTC)), "jobs"): 1}))

    return Ending(record, "succeeded")
