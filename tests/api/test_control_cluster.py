"""The cluster and reconciliations as operators read them: what dispatchers noted, and what the queue holds."""

from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from heddle_infra.database import jobs, platform_notes
from heddle_infra.database.engine import Database
from heddle_platform.settings import DatabaseSettings
from tests.api.control_world import World

RAY: dict[str, Any] = {
    "reachable": True,
    "cpus": 6.0,
    "gpus": 1.0,
    "free_cpus": 2.5,
    "free_gpus": 0.25,
    "nodes": [
        {
            "id": "a",
            "address": "10.0.0.1",
            "alive": True,
            "cpus": 6.0,
            "gpus": 1.0,
            "free_cpus": 2.5,
            "free_gpus": 0.25,
            "memory_bytes": 10**9,
        }
    ],
}


async def note(world: World, owner: str, ray: dict[str, Any], ago_seconds: int = 0) -> None:
    document = {"owner": owner, "host": "h", "pid": 1, "since": "2026-11-24T00:00:00Z", "jobs_held": 3, "ray": ray}
    async with world.ports.database.platform_transaction() as session:
        await platform_notes.put(session, platform_notes.DISPATCHER + owner, document)
        await session.execute(
            text("update platform_notes set written_at = now() - make_interval(secs => :ago) where name = :name"),
            {"ago": ago_seconds, "name": platform_notes.DISPATCHER + owner},
        )


@pytest.fixture(autouse=True)
async def nothing_noted(empty_postgres_url: str) -> None:
    """Empty the database before the world is made."""
    database = Database(DatabaseSettings(database_url=SecretStr(empty_postgres_url)))
    async with database.platform_transaction() as session:
        await session.execute(text("delete from platform_notes"))
    await database.close()


async def test_a_cluster_nobody_spoke_of_is_told_as_unknown(world: World) -> None:
    found = (await world.admin.get("/v1/admin/cluster")).json()
    assert found["nodes_age_seconds"] is None
    assert (found["nodes"], found["dispatchers"], found["queue"], found["waiting"]) == ([], [], [], 0)


async def test_nodes_are_those_of_the_dispatcher_that_spoke_last_and_could_see_them(world: World) -> None:
    await note(world, "old", RAY | {"cpus": 1.0}, ago_seconds=60)
    await note(world, "seeing", RAY, ago_seconds=5)
    await note(world, "blind", {"reachable": False, "nodes": []})
    found = (await world.admin.get("/v1/admin/cluster")).json()
    assert (found["cpus"], found["free_cpus"], found["gpus"], found["free_gpus"]) == (6.0, 2.5, 1.0, 0.25)
    assert found["nodes"] == RAY["nodes"]
    assert found["nodes_age_seconds"] >= 5
    states = {one["owner"]: (one["alive"], one["ray_reachable"]) for one in found["dispatchers"]}
    assert states == {"old": (False, True), "seeing": (True, True), "blind": (True, False)}


async def test_the_queue_is_counted_over_all_tenants(world: World) -> None:
    acme, other = await world.tenant(), await world.tenant("other")
    for place in range(3):
        async with world.ports.database.transaction(acme.id) as session:
            await jobs.create(session, acme.id, job_type="fit", spec={}, dataset_id=None, status="queued")
            if place == 0:
                await session.execute(text("update jobs set created_at = now() - interval '90 seconds'"))
    async with world.ports.database.transaction(other.id) as session:
        done = await jobs.create(session, other.id, job_type="fit", spec={}, dataset_id=None, status="queued")
        await jobs.close(session, done.id, status="succeeded")
    found = (await world.admin.get("/v1/admin/cluster")).json()
    assert found["queue"] == [{"type": "fit", "status": "queued", "jobs": 3}]
    assert found["tenants"] == [{"tenant": acme.id, "waiting": 3, "running": 0}]
    assert found["oldest_wait_seconds"] >= 90
    assert [(t["type"], t["done"], t["failed"]) for t in found["throughput"]] == [("fit", 1, 0)]
    await world.admin.patch(f"/v1/admin/tenants/{acme.id}", json={"status": "suspended"})
    held = (await world.admin.get("/v1/admin/cluster")).json()
    assert (held["waiting"], held["oldest_wait_seconds"]) == (3, 0.0), "a suspended tenant's jobs could not start"


async def test_a_wish_waits_until_a_dispatcher_takes_it_and_its_answer_carries_its_id(world: World) -> None:
    answer = await world.admin.post("/v1/admin/reconciliations", json={"repair": True})
    assert answer.status_code == 202, answer.text
    asked = answer.json()
    found = (await world.admin.get("/v1/admin/reconciliations")).json()
    assert found == {"waiting": {"id": asked["id"], "repair": True, "status": "asked"}, "last": None}
    async with world.ports.database.platform_transaction() as session:
        taken = await platform_notes.take(session, platform_notes.RECONCILIATION_WANTED)
        again = await platform_notes.take(session, platform_notes.RECONCILIATION_WANTED)
    assert (taken, again) == ({"id": asked["id"], "repair": True}, None)


@pytest.mark.parametrize("path", ["/v1/admin/cluster", "/v1/admin/reconciliations"])
async def test_tenants_are_not_let_in(world: World, path: str) -> None:
    answer = await (await world.tenant()).http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
