"""The edge's drift tally: each image once an hour for a version, only sums of eight go on, to a real database once."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from heddle_adapters.drift_sums import drift_sums
from heddle_api.edge.drift import DatabaseDriftSink, DriftTally
from heddle_api.edge.serving import LoadedBase, Target
from heddle_infra.database import drift
from heddle_infra.database.engine import Database
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.drift import BATCH, DriftSlot, DriftSums
from heddle_platform.errors import Unavailable
from heddle_platform.settings import DatabaseSettings
from tests.api.edge.edge_world import TENANT, Edge, Fitted, World, running_edge
from tests.infra.test_queue import fitted as fit_row
from tests.infra.test_queue import new_tenant


@dataclass
class Sink:
    """Adds up what it is sent; may lose the answer."""

    lose: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    sums: dict[tuple[str, str, int, int], DriftSums] = field(default_factory=dict)

    async def flush(self, source: str, sequence: int, sums: Mapping[DriftSlot, DriftSums]) -> None:
        if self.seen.get(source, 0) < sequence:
            self.seen[source] = sequence
            for slot, one in sums.items():
                key = slot.tenant_id, slot.adapter_name, slot.version, slot.epoch
                self.sums[key] = one if key not in self.sums else self.sums[key] + one
        if self.lose:
            self.lose -= 1
            raise Unavailable("the database connection was lost")


async def edit(edge: Edge, rows: range, **wish: str) -> list[str]:
    """Edit images one after the other; return what the cache had."""
    images = edge.world.fitted.images
    return [(await edge.edit(images[row], set=wish)).headers["x-cache"] for row in rows]


async def test_images_are_counted_once_and_as_they_came_in(world: World) -> None:
    sink = Sink()
    world.drift = sink
    async with running_edge(world) as edge:
        assert set(await edit(edge, range(BATCH + 3), glasses="none")) == {"miss"}
        assert set(await edit(edge, range(BATCH + 3), glasses="round")) == {"latent"}
        assert set(await edit(edge, range(BATCH + 3), glasses="round")) == {"hit"}
    # three wait for five more, and go with the process
    expected = drift_sums(world.fitted.adapter, world.fitted.latents_NL[:BATCH])
    found = sink.sums[TENANT, "avatars", 1, 1]
    assert (found.images, found.outside, found.levels) == (BATCH, expected.outside, expected.levels)
    assert found.total == pytest.approx(expected.total, abs=0.05)


async def test_grids_and_images_sent_ahead_of_their_edits_count_too(world: World) -> None:
    sink = Sink()
    world.drift = sink
    async with running_edge(world) as edge:
        for row in range(BATCH):
            files = {"image": ("face.png", world.fitted.images[row])}
            if row % 2:
                grid = {"grid": json.dumps({"adapter": "avatars", "factor": "glasses"})}
                answer = await edge.post("/v1/edits/grid", files=files, data=grid, headers=world.headers())
            else:
                sent = {"adapter": "avatars"}
                answer = await edge.post("/v1/images", files=files, data=sent, headers=world.headers())
            assert answer.is_success, answer.text
    assert sink.sums[TENANT, "avatars", 1, 1].images == BATCH


async def test_an_erasure_lets_go_of_what_waits(world: World) -> None:
    sink = Sink()
    world.drift = sink
    async with running_edge(world) as edge:
        await edit(edge, range(BATCH - 1), glasses="none")
        world.source.change(epochs={**world.source.now.epochs, TENANT: 2})
        await edge.state["readiness"].refresh()
        await edit(edge, range(BATCH - 1, 2 * BATCH - 1), glasses="none")
    assert {key: one.images for key, one in sink.sums.items()} == {(TENANT, "avatars", 1, 2): BATCH}


def target_of(fitted: Fitted, runtime: BaseRuntime, bank: object, tenant_id: str = TENANT) -> Target:
    return Target(tenant_id, "avatars", 1, fitted.digest, LoadedBase("default", "b", runtime, bank))  # type: ignore[arg-type]


class Bank:
    """A bank of one adapter."""

    def __init__(self, fitted: Fitted) -> None:
        self._adapter = fitted.adapter

    def get(self, digest: str) -> object:
        return self._adapter


async def test_a_lost_answer_counts_once_and_what_is_no_number_fails_no_edit(
    fitted: Fitted, runtime: BaseRuntime
) -> None:
    tally, sink, target = DriftTally(), Sink(lose=1), target_of(fitted, runtime, Bank(fitted))
    for row in range(BATCH):
        tally.see(1, target, f"image {row}", fitted.latents_NL[row])
    with pytest.raises(Unavailable):
        await tally.flush(sink)
    await tally.flush(sink)
    for row in range(BATCH):
        tally.see(1, target, f"broken {row}", np.full_like(fitted.latents_NL[row], np.nan))
    await tally.flush(sink)
    assert sink.sums[TENANT, "avatars", 1, 1].images == BATCH


async def test_latents_that_wait_go_with_their_epoch(fitted: Fitted, runtime: BaseRuntime) -> None:
    sums = {}
    for epochs in ({TENANT: 1}, {TENANT: 2}, {}):  # as it was; after an erasure; a tenant no longer served
        tally, sink, target = DriftTally(), Sink(), target_of(fitted, runtime, Bank(fitted))
        for row in range(BATCH):
            if row == BATCH - 1:
                tally.forget_erased(epochs)
            tally.see(1, target, f"image {row}", fitted.latents_NL[row])
        await tally.flush(sink)
        sums[str(epochs)] = [one.images for one in sink.sums.values()]
    assert [*sums.values()] == [[BATCH], [], []]


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(DatabaseSettings(database_url=SecretStr(postgres_url)))
    yield opened
    await opened.close()


async def test_two_replicas_flush_into_the_database_and_a_killed_one_loses_what_it_had_not_flushed(
    fitted: Fitted, runtime: BaseRuntime, database: Database
) -> None:
    async with database.platform_transaction() as session:
        tenant = await new_tenant(session)
        version = await fit_row(session, tenant)
    key = version.adapter_id, version.version
    target = target_of(fitted, runtime, Bank(fitted), tenant.id)
    sink = DatabaseDriftSink(database)

    async def seen() -> int:
        async with database.transaction(tenant.id) as session:
            found = await drift.sums_of(session, tenant.id, [key], hours=2)
        return found[key].sums.images if found else 0

    one, another, killed = DriftTally(), DriftTally(), DriftTally()
    async with one.flushing(sink, 0.01), another.flushing(sink, 0.01):
        for row in range(2 * BATCH):
            for tally in (one, another):
                tally.see(1, target, f"image {row}", fitted.latents_NL[row])
        async with asyncio.timeout(10):
            while await seen() < 4 * BATCH:  # they flush as they run
                pass
        for row in range(BATCH):
            one.see(1, target, f"last {row}", fitted.latents_NL[row])
    assert await seen() == 5 * BATCH, "a process that is stopped flushes once more"
    for row in range(3 * BATCH):
        killed.see(1, target, f"image {row}", fitted.latents_NL[row])
        if row == 2 * BATCH - 1:
            await killed.flush(sink)
    assert await seen() == 7 * BATCH
    async with database.platform_transaction() as session:
        columns = await session.execute(
            text("select images, outside, array_length(total, 1) from drift_hours where tenant_id = :id"),
            {"id": tenant.id},
        )
        [(images, outside, width)] = columns.all()
    expected = drift_sums(fitted.adapter, fitted.latents_NL[:BATCH])
    assert (images, width) == (7 * BATCH, len(expected.total))
    assert outside <= images
