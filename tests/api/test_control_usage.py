"""Usage: what tenants do is counted by the hour, shown to them and to operators, in pages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from heddle_api.control.app import create_app
from heddle_infra.database import usage
from heddle_platform.usage import METRICS, Slot, hour_of
from tests.api.control_world import Person, World

NOW = hour_of(datetime.now(UTC))


async def put(world: World, tenant_id: str, **hours: int) -> None:
    """Write down amounts of requests, `h3=7`: seven, three hours ago."""
    counts = {Slot(tenant_id, NOW - timedelta(hours=int(name[1:])), "requests"): n for name, n in hours.items()}
    async with world.ports.database.platform_transaction() as session:
        await usage.add(session, counts)


async def plane_that_stops(world: World, tenant: Person, requests: int) -> FastAPI:
    """Run a further plane over the same ports, send it requests, and stop it."""
    app = create_app(world.ports)
    async with app.router.lifespan_context(app) as state:
        assert state is not None
        client = World(app, dict(state), world.ports, world.objects, world.cache, world.admin, "").client(tenant.key)
        for _ in range(requests):
            assert (await client.get("/v1/me")).status_code == 200
    return app


async def amounts(tenant: Person) -> dict[str, int]:
    hours = (await tenant.get("/v1/usage"))["data"]
    return {metric: sum(hour["amounts"][metric] for hour in hours) for metric in METRICS}


async def test_requests_of_planes_that_stopped_are_all_counted(world: World, tenant: Person) -> None:
    before = (await amounts(tenant))["requests"]
    for _ in range(2):
        await plane_that_stops(world, tenant, 7)
    after = (await amounts(tenant))["requests"]
    assert after - before >= 14  # and this plane's own, as far as they were flushed


async def test_bytes_are_counted_with_the_upload_and_stored_bytes_are_looked_at(world: World, tenant: Person) -> None:
    await tenant.dataset(b"x" * 1_000)
    async with world.ports.database.platform_transaction() as session:
        for _ in range(2):  # however often, and by however many planes
            await usage.note_stored_bytes(session)
    seen = await amounts(tenant)
    assert (seen["bytes_uploaded"], seen["bytes_stored"]) == (1_000, 1_000)


async def test_hours_come_in_pages_and_spans(world: World, tenant: Person) -> None:
    await put(world, tenant.id, h1=1, h2=2, h30=3, h31=4)
    seen: list[int] = []
    query: dict[str, Any] = {"limit": 2, "to": NOW.isoformat()}
    while True:
        page = await tenant.get("/v1/usage", params=query)
        seen += [hour["amounts"]["requests"] for hour in page["data"]]
        if not page["has_more"]:
            break
        query["after"] = page["next_cursor"]
    assert seen == [1, 2, 3, 4]
    since = (NOW - timedelta(hours=29, minutes=30)).isoformat()
    page = await tenant.get("/v1/usage", params={"from": since, "to": NOW.isoformat()})
    assert [hour["amounts"]["requests"] for hour in page["data"]] == [1, 2, 3]
    assert page["data"][0]["hour"] == (NOW - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert set(page["data"][0]["amounts"]) == set(METRICS)


async def test_a_tenant_sees_its_own_and_an_operator_everybodys(world: World, tenant: Person, other: Person) -> None:
    await put(world, other.id, h5=123)
    assert 123 not in [hour["amounts"]["requests"] for hour in (await tenant.get("/v1/usage"))["data"]]
    page = (await world.admin.get(f"/v1/admin/tenants/{other.id}/usage")).json()
    assert 123 in [hour["amounts"]["requests"] for hour in page["data"]]
    assert (await tenant.http.get(f"/v1/admin/tenants/{other.id}/usage")).status_code == 403
    refused = await world.admin.get("/v1/usage")
    assert (refused.status_code, refused.json()["code"]) == (403, "tenant_key_required")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"from": "yesterday"}, "invalid_request"),
        ({"from": "2026-11-24T00:00:00"}, "invalid_request"),
        ({"from": "2026-11-25T00:00:00Z", "to": "2026-11-24T00:00:00Z"}, "invalid_span"),
        ({"after": "job_1"}, "invalid_cursor"),
        ({"after": "9" * 18}, "invalid_cursor"),
        ({"limit": 0}, "invalid_request"),
    ],
)
async def test_questions_that_mean_nothing_are_refused(tenant: Person, query: dict[str, Any], code: str) -> None:
    answer = await tenant.http.get("/v1/usage", params=query)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
