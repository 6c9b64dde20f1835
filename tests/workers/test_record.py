"""Outcomes of fits written together, in a real database: each behind its own fence, and none for another's fault."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from heddle_infra.database import adapters, bases, datasets, factor_sets, jobs, queue, tenants, usage
from heddle_infra.database.engine import Database
from heddle_infra.database.fit_outcomes import FitOutcome, record
from heddle_infra.database.versions import NewVersion
from heddle_platform.errors import LeaseLost
from heddle_platform.factors import parse_factor_set
from heddle_platform.records import Job, JobError
from heddle_platform.settings import DatabaseSettings
from heddle_workers.record import Record
from heddle_workers.work import Ending
from tests.set_rows import set_rows

LABELLED = 7


@pytest.fixture
async def database(empty_postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(DatabaseSettings(database_url=SecretStr(empty_postgres_url)))
    yield opened
    await opened.close()


async def some_fits(database: Database, adapters_of_tenants: Sequence[Sequence[str]]) -> list[tuple[Job, FitOutcome]]:
    """Queue fits and lease them: one of each named adapter, tenant after tenant."""
    wanted = {}
    async with database.platform_transaction() as session:
        base, _ = await bases.publish(session, name="base", digest="b" * 64, manifest={})
        for names in adapters_of_tenants:
            tenant = await tenants.create_tenant(session, "acme")
            document = parse_factor_set({"name": "avatars", "factors": [{"name": "smile", "kind": "binary"}]})
            factors = await factor_sets.register(session, tenant.id, document)
            dataset = await set_rows(session, factors)
            report = {"valid": True, "labelled": LABELLED}
            await datasets.finish_validation(session, tenant.id, dataset.id, report=report, digest="d" * 64, images=9)
            for name in names:
                spec = {"adapter": name, "dataset_id": dataset.id}
                job = await jobs.create(session, tenant.id, job_type="fit", spec=spec, dataset_id=dataset.id)
                gate = {"reasons": ["all is well"]}
                made = NewVersion(
                    name, "a" * 64, base.id, base.digest, factors.id, 1, dataset.id, "pass", gate, {"seen": name}, {}
                )
                wanted[job.id] = FitOutcome(tenant.id, job.id, made, "succeeded", None, 3, None)
        leased = await queue.claim(session, owner="test", limit=20, lease_seconds=30, max_attempts=5)
    return [(job, wanted[job.id]) for job in sorted(leased, key=lambda job: list(wanted).index(job.id))]


def ending(outcome: FitOutcome) -> Ending:
    return Ending(lambda session: record(session, [outcome]), outcome.status, fit=outcome)


async def written(database: Database, fits: Sequence[tuple[Job, FitOutcome]]) -> list[BaseException | None]:
    together = Record(database, 0.01)
    return await asyncio.gather(*(together.write(job, ending(one)) for job, one in fits), return_exceptions=True)


async def test_a_lost_lease_drops_its_own_fit_and_no_other(database: Database) -> None:
    fits = await some_fits(database, [["one", "two", "one"], ["one"]])
    stolen = fits[1][0]
    async with database.platform_transaction() as session:
        await session.execute(text("update jobs set attempt = attempt + 1 where id = :id"), {"id": stolen.id})
    refused = await written(database, fits)
    assert [type(error) for error in refused] == [type(None), LeaseLost, type(None), type(None)]
    async with database.platform_transaction() as session:
        found = [await jobs.get(session, job.tenant_id, job.id) for job, _ in fits]
        events = [[event.type for event in await jobs.all_events(session, job.id)] for job, _ in fits]
        tenant_id = fits[0][0].tenant
        adapter = await adapters.resolve(session, tenant_id, "one")
        versions, _ = await adapters.list_versions(session, tenant_id, adapter.id, limit=9, after=None)
        hours, _ = await usage.hours(session, tenant_id, since=None, until=None, limit=9, after=None)
    assert [job.status for job in found] == ["succeeded", "running", "succeeded", "succeeded"]
    assert [job.result and job.result["version"] for job in found] == [1, None, 2, 1]
    assert [job.progress for job in found] == [1.0, 0.0, 1.0, 1.0]
    assert events == [["created", "started", *(["succeeded"] if job.result else [])] for job in found]
    assert [(one.version, one.job_id) for one in versions] == [(2, fits[2][0].id), (1, fits[0][0].id)]
    assert hours[0].amounts == {"jobs": 2, "rows_fitted": 2 * LABELLED, "images_encoded": 6}
    again = await written(database, fits)
    assert all(isinstance(error, LeaseLost) for error in again), "each is written once"


async def test_one_that_cannot_be_written_holds_up_no_other(database: Database) -> None:
    fits = await some_fits(database, [["one", "two"], ["three"]])
    job, outcome = fits[1]
    fits[1] = (job, replace(outcome, new=replace(outcome.new, base_id="bas_unheard_of")))
    refused = await written(database, fits)
    assert [type(error) for error in refused] == [type(None), IntegrityError, type(None)]
    async with database.platform_transaction() as session:
        found = [await jobs.get(session, job.tenant_id, job.id) for job, _ in fits]
    assert [job.status for job in found] == ["succeeded", "running", "succeeded"]


async def test_a_fit_that_failed_its_gate_says_so(database: Database) -> None:
    fits = await some_fits(database, [["one", "two"]])
    error = JobError(code="gate_failed", message="reads too badly")
    fits[0] = (fits[0][0], replace(fits[0][1], status="failed", error=error))
    assert await written(database, fits) == [None, None]
    async with database.platform_transaction() as session:
        failed = await jobs.get(session, fits[0][0].tenant_id, fits[0][0].id)
        event = (await jobs.all_events(session, failed.id))[-1]
    assert (failed.status, failed.error, failed.progress) == ("failed", error, 0.0)
    assert event.data == {"status": "failed", "error": error.model_dump()}
