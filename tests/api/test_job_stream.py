"""A job's stream: it says that it lives while nothing happens, and outlives a database that is away for a moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.auth import Principal
from heddle_api.control.context import Control
from heddle_api.control.jobs.standing import Standings
from heddle_api.control.jobs.stream import follow
from heddle_api.control.jobs.streams import Streams
from heddle_api.control.seal import Seal
from heddle_platform.errors import RateLimited, Unavailable
from tests.api.control_world import Person, World


class Faltering(Control):
    """A control plane whose database is away as often as `away` says."""

    away = 0

    @asynccontextmanager
    async def transaction(self, caller: Principal) -> AsyncIterator[AsyncSession]:
        """Open a transaction, or not."""
        if Faltering.away > 0:
            Faltering.away -= 1
            raise Unavailable("the database cannot be reached")
        async with self.ports.database.transaction(caller.tenant_id) as session:
            yield session


def control_of(world: World) -> Faltering:
    """Return the tools of a plane over the same database."""
    ports = world.ports
    return Faltering(ports, Seal(ports.settings.security.secret_key), Standings(ports.database))


async def owner(person: Person) -> Principal:
    """Return who follows, by the tenant's first key."""
    key = (await person.get("/v1/me"))["key"]
    return Principal(key["id"], person.id, frozenset({"jobs"}))


async def test_silence_is_broken_by_comments(tenant: Person) -> None:
    job_id, _ = await tenant.queue_two_fits()
    stream = follow(control_of(tenant.world), await owner(tenant), job_id, 0, silence_seconds=0.2)
    lines = [await anext(stream) for _ in range(4)]
    assert [line.split("\n")[0][:5] for line in lines] == ["id: " + lines[0][4], "event", ": sti", ": sti"]
    await tenant.post(f"/v1/jobs/{job_id}/cancel")
    rest = [line async for line in stream]
    assert "event: cancelled" in rest[-1]


async def test_it_goes_on_when_the_database_comes_back(tenant: Person) -> None:
    job_id, _ = await tenant.queue_two_fits()
    stream = follow(control_of(tenant.world), await owner(tenant), job_id, 0)
    assert "event: created" in await anext(stream)
    assert "event: progress" in await anext(stream)
    Faltering.away = 1
    assert (await anext(stream)).startswith(":")
    await tenant.post(f"/v1/jobs/{job_id}/cancel")
    assert ["event: cancelled" in line for line in [line async for line in stream]] == [True]


async def test_it_ends_when_the_key_is_revoked(tenant: Person) -> None:
    job_id, _ = await tenant.queue_two_fits()
    spare = await tenant.post("/v1/api_keys", {"name": "spare", "scopes": ["jobs"]})
    stream = follow(control_of(tenant.world), Principal(spare["id"], tenant.id, frozenset({"jobs"})), job_id, 0)
    assert "event: created" in await anext(stream)
    assert (await tenant.http.delete(f"/v1/api_keys/{spare['id']}")).status_code == 200
    async with asyncio.timeout(20):
        rest = [line async for line in stream]
    assert ["event: key_ended" in line for line in rest] == [False] * (len(rest) - 1) + [True]
    assert '"code": "unknown_key"' in rest[-1]
    assert (await tenant.get(f"/v1/jobs/{job_id}"))["status"] == "queued"


async def test_it_ends_with_the_secret_it_was_opened_with(tenant: Person) -> None:
    job_id, _ = await tenant.queue_two_fits()
    spare = await tenant.post("/v1/api_keys", {"name": "spare", "scopes": ["jobs"]})
    caller = Principal(spare["id"], tenant.id, frozenset({"jobs"}))
    stream = follow(control_of(tenant.world), caller, job_id, 0, silence_seconds=0.1)
    assert "event: created" in await anext(stream)
    await tenant.post(f"/v1/api_keys/{spare['id']}/rotate", {"overlap_seconds": 60})
    told = [await anext(stream) for _ in range(4)]
    assert not any("key_ended" in line for line in told), "both secrets work"
    await tenant.post(f"/v1/api_keys/{spare['id']}/rotate", {"overlap_seconds": 0})
    async with asyncio.timeout(20):
        assert "event: key_ended" in [line async for line in stream][-1]
    later = follow(control_of(tenant.world), caller, job_id, 0, silence_seconds=0.1)
    told = [await anext(later) for _ in range(4)]
    assert not any("key_ended" in line for line in told), "opened with the new secret"


async def test_a_tenant_has_so_many_streams_open_and_others_have_theirs(tenant: Person, other: Person) -> None:
    streams = Streams(most=2)
    job_id, _ = await tenant.queue_two_fits()
    control, who = control_of(tenant.world), await owner(tenant)
    opened = [streams.counted(tenant.id, follow(control, who, job_id, 0)) for _ in range(2)]
    for stream in opened:
        streams.check(tenant.id)
        assert "event: created" in await anext(stream)
    with pytest.raises(RateLimited) as refused:
        streams.check(tenant.id)
    assert refused.value.code == "too_many_streams"
    streams.check(other.id)
    streams.check(None)
    await opened[0].aclose()
    streams.check(tenant.id)
    await opened[1].aclose()


async def test_too_many_streams_are_told_when_to_come_back(tenant: Person) -> None:
    job_id, _ = await tenant.queue_two_fits()
    counts = tenant.world.state["control"].streams
    held = [counts.counted(tenant.id, _endless()) for _ in range(64)]
    for stream in held:
        await anext(stream)
    answer = await tenant.http.get(f"/v1/jobs/{job_id}/events", headers={"Accept": "text/event-stream"})
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_streams")
    assert answer.headers["retry-after"] == "5"
    assert (await tenant.http.get(f"/v1/jobs/{job_id}/events")).status_code == 200
    for stream in held:
        await stream.aclose()


async def _endless() -> AsyncIterator[str]:
    while True:
        yield ":"


async def test_it_ends_when_the_tenant_is_suspended(tenant: Person) -> None:
    job_id, _ = await tenant.queue_two_fits()
    stream = follow(control_of(tenant.world), await owner(tenant), job_id, 0)
    assert "event: created" in await anext(stream)
    await tenant.world.admin.patch(f"/v1/admin/tenants/{tenant.id}", json={"status": "suspended"})
    async with asyncio.timeout(20):
        assert "event: key_ended" in [line async for line in stream][-1]
