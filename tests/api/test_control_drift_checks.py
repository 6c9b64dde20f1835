"""Drift checks asked for: a version resolved, queued as other jobs are, and told by client and shell."""

import asyncio
import json
from typing import Any

import pytest

from heddle_adapters.drift_report import drift_report
from heddle_api.client import AsyncHeddleClient
from heddle_infra.database import drift, jobs
from heddle_platform.records import Job
from tests.api.control_world import Person, World, claim_all
from tests.api.live import Live
from tests.api.test_control_cli import shell
from tests.api.test_control_drift import MOVED, see, serve
from tests.api.test_control_refits import ask, leased


async def finish_check(world: World, job: Job) -> None:
    """Play the worker that ends a drift check."""
    key, hours = (job.spec["adapter_id"], job.spec["version"]), job.spec["window_hours"]
    async with world.ports.database.platform_transaction() as session:
        watched = (await drift.watched(session, job.tenant, [key]))[key]
        sums = (await drift.sums_of(session, job.tenant, [key], hours=hours)).get(key)
        found = drift_report(watched, sums, hours).model_dump(mode="json")
        result = {**found, "in_production": True, "webhooks_told": False}
        await jobs.close(session, job.id, status="succeeded", result=result)


async def test_a_check_is_queued_with_its_version_resolved(world: World, tenant: Person) -> None:
    await serve(world, tenant, "avatars")
    made = await tenant.post("/v1/jobs", {"type": "drift_check", "adapter": "avatars@production"})
    assert (made["type"], made["status"], made["adapter"], made["version"]) == ("drift_check", "queued", "avatars", 1)
    job = await leased(world, made["id"])
    assert job.spec["window_hours"] == 7 * 24
    await see(world, tenant, "avatars", MOVED)
    await finish_check(world, job)
    told = (await tenant.get(f"/v1/jobs/{job.id}"))["result"]
    [listed] = (await tenant.get("/v1/drift"))["data"]
    assert {**listed, "in_production": True, "webhooks_told": False} == told
    assert told["verdict"] == "drifted"
    assert [one["id"] for one in (await tenant.get("/v1/jobs", params={"type": "drift_check"}))["data"]] == [job.id]
    assert job.id in [one["id"] for one in (await tenant.get("/v1/jobs"))["data"]]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"adapter": "nothing"}, 404, "unknown_adapter"),
        ({"adapter": "avatars@7"}, 404, "unknown_version"),
        ({"adapter": "avatars@canary"}, 404, "unknown_alias"),
        ({"window_hours": 0}, 422, "invalid_request"),
        ({"window_hours": 721}, 422, "invalid_request"),
        ({"window_hours": True}, 422, "invalid_request"),
        ({"dataset": "for-avatars"}, 422, "invalid_request"),
    ],
)
async def test_bad_checks(tenant: Person, change: dict[str, Any], status: int, code: str) -> None:
    await tenant.fitted()
    body = {"type": "drift_check", "adapter": "avatars@1", **change}
    for path in ("/v1/jobs", "/v1/jobs/estimate"):
        assert (await ask(tenant, body, path))[:2] == (status, code)


async def test_somebody_elses_version_is_not_looked_at(tenant: Person, other: Person) -> None:
    await other.fitted()
    theirs = (await other.get("/v1/adapters/avatars"))["id"]
    for reference in ("avatars", theirs, f"{theirs}@1"):
        assert await ask(tenant, {"type": "drift_check", "adapter": reference}) == (404, "unknown_adapter", "adapter")


async def test_from_the_client_and_the_command_line(live: Live) -> None:
    person = await live.world.tenant()
    await serve(live.world, person, "avatars")
    await see(live.world, person, "avatars", MOVED)
    async with AsyncHeddleClient(live.url, None, person.key) as heddle:
        job = await heddle.check_drift("avatars", window_hours=24)
        await finish_check(live.world, await leased(live.world, job.id))
        done = await heddle.wait_for_job(job.id)
    assert done.result is not None
    assert (done.result["verdict"], done.result["window_hours"]) == ("drifted", 24)
    running = asyncio.create_task(shell(live, "drift", "avatars", "--now", "--from", "24h", key=person.key))
    while not running.done():
        for waiting in await claim_all(live.world):
            await finish_check(live.world, waiting)
        await asyncio.sleep(0.05)
    shown = await running
    assert shown.exit_code == 0, shown.output
    assert "avatars@1  drifted  80      25.0%" in shown.stdout
    seen = await shell(live, "jobs", "show", job.id, "--json", key=person.key)
    assert json.loads(seen.stdout)["result"]["verdict"] == "drifted"
    nameless = await shell(live, "drift", "--now", key=person.key)
    assert (nameless.exit_code, "name it" in nameless.stderr) == (1, True)
