"""Batches over real PostgreSQL: done in the background, taken over after a death, nobody else's, gone by an erasure."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr
from sqlalchemy import delete, select, update

from heddle_api.auth import Principal
from heddle_api.control.trail import Trail
from heddle_api.edge.app import EdgePorts, create_app
from heddle_api.edge.batches.runner import STEP, BatchRunner
from heddle_api.edge.batches.service import BatchService
from heddle_infra.database import audit, edit_batches
from heddle_infra.database.edge_models import EditBatchRow
from heddle_infra.database.engine import Database
from heddle_infra.database.models import TenantRow
from heddle_platform import keys, pixels
from heddle_platform.edits import EditRequest
from heddle_platform.settings import DatabaseSettings
from tests.api.edge.edge_world import OTHER, TENANT, Edge, World, caller_of, running_edge

EDITS = [{"adapter": "avatars", "set": {"glasses": "none"}}, {"adapter": "avatars@1", "set": {"skin": "sand"}}]


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(DatabaseSettings(database_url=SecretStr(postgres_url)))
    async with opened.platform_transaction() as session:
        await session.execute(delete(TenantRow).where(TenantRow.id.in_((TENANT, OTHER))))
        session.add_all([TenantRow(id=TENANT, name="one"), TenantRow(id=OTHER, name="other")])
    yield opened
    await opened.close()


@pytest.fixture
async def edge(world: World, database: Database) -> AsyncIterator[Edge]:
    @asynccontextmanager
    async def ports() -> AsyncIterator[EdgePorts]:
        yield replace(world.ports(), database=database)

    app = create_app(ports)
    async with app.router.lifespan_context(app) as state:
        assert state is not None
        await state["readiness"].refresh()
        async with caller_of(app, dict(state), world) as edge:
            yield edge


async def send(edge: Edge, images: list[bytes], edits: Any = EDITS, who: str = "tenant", **fields: str) -> Any:
    files = [("image", (f"{place}.png", data)) for place, data in enumerate(images)]
    return await edge.post(
        "/v1/edit_batches", files=files, data={"edits": json.dumps(edits), **fields}, headers=edge.world.headers(who)
    )


async def finished(edge: Edge, batch_id: str) -> Any:
    async with asyncio.timeout(30):
        while True:
            found = (await edge.get(f"/v1/edit_batches/{batch_id}", headers=edge.world.headers())).json()
            if found["status"] == "done":
                return found
            await asyncio.sleep(0.05)


async def test_every_edit_of_every_image_is_what_a_single_edit_gives(edge: Edge) -> None:
    images = edge.world.fitted.images[300:305]
    sent = await send(edge, images)
    assert sent.status_code == 202, sent.text
    assert (sent.json()["items"], sent.json()["status"]) == (10, "queued")
    done = await finished(edge, sent.json()["id"])
    assert (done["done"], done["failed"], done["progress"]) == (10, 0, 1.0)
    assert [(one["image"], one["edit"]) for one in done["results"]] == [(at // 2, at % 2) for at in range(10)]
    path = f"/v1/edit_batches/{done['id']}"
    archive = await edge.get(f"{path}/download", headers=edge.world.headers())
    with zipfile.ZipFile(io.BytesIO(archive.content)) as opened:
        assert len(opened.namelist()) == 11
        zipped = opened.read("item-0003.png")
    item = await edge.get(f"{path}/items/3", headers=edge.world.headers())
    alone = await edge.edit(images[1], set={"skin": "sand"})
    assert item.content == zipped == alone.content
    assert item.headers["x-adapter-version"] == "avatars@1"
    assert item.headers["x-edit-id"] == done["results"][3]["edit_id"]
    assert item.headers["x-detail"] == alone.headers["x-detail"]
    assert item.headers["content-type"] == "image/png"
    listed = (await edge.get("/v1/edit_batches", headers=edge.world.headers())).json()
    assert [one["id"] for one in listed["data"]] == [done["id"]]


async def test_an_item_that_cannot_be_done_fails_alone(edge: Edge) -> None:
    good = edge.world.fitted.images[300]
    broken = pixels.encode(np.zeros((8, 8, 3), np.uint8), "image/png")[:45]
    done = await finished(edge, (await send(edge, [good, broken], EDITS[:1], accept="image/webp")).json()["id"])
    assert [one["status"] for one in done["results"]] == ["done", "failed"]
    assert done["results"][1]["code"] == "image_damaged"
    missing = await edge.get(f"/v1/edit_batches/{done['id']}/items/1", headers=edge.world.headers())
    assert (missing.status_code, missing.json()["code"]) == (404, "item_failed")
    item = await edge.get(f"/v1/edit_batches/{done['id']}/items/0", headers=edge.world.headers())
    assert item.headers["content-type"] == "image/webp"


async def test_a_batch_is_its_tenants_and_can_be_deleted(edge: Edge) -> None:
    made = (await send(edge, edge.world.fitted.images[300:301])).json()
    await finished(edge, made["id"])
    path = f"/v1/edit_batches/{made['id']}"
    for method, url in (("GET", path), ("GET", f"{path}/items/0"), ("GET", f"{path}/download"), ("DELETE", path)):
        answer = await edge.request(method, url, headers=edge.world.headers("other"))
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_batch")
    assert (await edge.delete(path, headers=edge.world.headers())).status_code == 204
    assert (await edge.get(path, headers=edge.world.headers())).status_code == 404
    assert not list(edge.world.objects.list(keys.edit_batch_prefix(TENANT, made["id"])))


async def test_a_batch_is_queued_once_under_a_key_and_leaves_events(edge: Edge, database: Database) -> None:
    async with database.platform_transaction() as session:
        before, _ = await audit.list_events(session, TENANT, limit=1, after=None)
    headers = {**edge.world.headers(), "Idempotency-Key": "monday"}
    image, form = edge.world.fitted.images[300], {"edits": json.dumps(EDITS)}

    async def post(data: bytes) -> Any:
        return await edge.post("/v1/edit_batches", files={"image": ("a.png", data)}, data=form, headers=headers)

    first, again, other = await post(image), await post(image), await post(edge.world.fitted.images[301])
    assert (first.status_code, again.status_code) == (202, 202), first.text
    assert (again.json(), again.headers.get("idempotency-replayed")) == (first.json(), "true")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    path = f"/v1/edit_batches/{first.json()['id']}"
    await finished(edge, first.json()["id"])
    assert (await edge.get(f"{path}/items/0", headers=headers)).status_code == 200
    stored = {found.key.split("/")[-2] for found in edge.world.objects.list(f"tenants/{TENANT}/edit_batches/")}
    assert stored == {first.json()["id"]}  # the images of what was not queued are gone
    assert (await edge.delete(path, headers=edge.world.headers())).status_code == 204
    async with database.platform_transaction() as session:
        events, _ = await audit.list_events(session, TENANT, limit=10, after=None)
    new = [event for event in events if not before or event.sequence > before[0].sequence]
    assert [(event.action, event.target) for event in new] == [
        ("delete_batch", first.json()["id"]),
        ("create_batch", first.json()["id"]),
    ]


async def test_who_takes_a_dead_replicas_lease_over_goes_on_where_it_was(world: World, database: Database) -> None:
    principal = Principal("key_tenant", TENANT, frozenset({"edits"}), 1)
    async with running_edge(world) as edge:  # without a runner of its own: nobody is faster than the test
        loader, edits = edge.state["readiness"], edge.state["edits"]
        service = BatchService(database, world.objects, loader)
        requests = [EditRequest.model_validate(one) for one in EDITS]
        trail = Trail("create_batch", "/v1/edit_batches", None)
        made, _ = await service.create(principal, world.fitted.images[300:306], requests, "image/png", trail)
        async with database.platform_transaction() as session:
            dead = await edit_batches.claim(session, lease_seconds=60.0)
        assert dead is not None
        assert dead.id == made.id
        said = [{"item": item, "image": item // 2, "edit": item % 2, "status": "failed"} for item in range(3)]
        async with database.transaction(TENANT) as session:  # it got as far as this, and died
            assert await edit_batches.advance(session, dead, said, lease_seconds=60.0) is not None
        runner = BatchRunner(database, world.objects, loader, edits)
        assert not await runner.turn()  # as long as the lease holds
        async with database.platform_transaction() as session:
            await session.execute(update(EditBatchRow).values(lease_expires_at=EditBatchRow.created_at))
        assert await runner.turn()
        done = await service.get(principal, made.id)
    assert (done.status, done.done, done.failed) == ("done", 12, 3)
    assert done.done > STEP
    assert [result["item"] for result in done.results] == list(range(12))  # none twice, none left out
    async with database.platform_transaction() as session:  # and what the dead one still says is not heard
        assert await edit_batches.advance(session, dead, [{"status": "failed"}], lease_seconds=1.0) is None


async def test_an_erasure_ends_batches_of_its_epoch(edge: Edge, database: Database) -> None:
    made = (await send(edge, edge.world.fitted.images[300:302])).json()
    await finished(edge, made["id"])
    edge.world.source.change(epochs={TENANT: 2, OTHER: 1})
    await edge.state["readiness"].refresh()
    answer = await edge.get(f"/v1/edit_batches/{made['id']}", headers=edge.world.headers())
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_batch")


async def test_a_suspended_tenants_batch_waits_and_goes_on_where_it_was(world: World, database: Database) -> None:
    principal = Principal("key_tenant", TENANT, frozenset({"edits"}), 1)

    async def stands(**changed: Any) -> None:
        async with database.platform_transaction() as session:
            await session.execute(update(TenantRow).where(TenantRow.id == TENANT).values(**changed))
            await session.execute(update(EditBatchRow).values(lease_expires_at=None))

    async with running_edge(world) as edge:
        loader = edge.state["readiness"]
        service, runner = (
            BatchService(database, world.objects, loader),
            BatchRunner(database, world.objects, loader, edge.state["edits"]),
        )
        requests = [EditRequest.model_validate(one) for one in EDITS]
        trail = Trail("create_batch", "/v1/edit_batches", None)
        made, _ = await service.create(principal, world.fitted.images[300:302], requests, "image/png", trail)
        await stands(status="suspended", epoch=1)
        assert not await runner.turn()
        await stands(status="active")
        world.source.change(epochs={OTHER: 1})  # suspended while it runs, or resumed and not told here yet
        await loader.refresh()
        assert await runner.turn()
        async with database.platform_transaction() as session:
            row = (await session.scalars(select(EditBatchRow).where(EditBatchRow.id == made.id))).one()
            assert (row.status, row.done, row.finished_at) == ("queued", 0, None)
        assert not await runner.turn(), "left alone for a moment"
        world.source.change(epochs={TENANT: 1, OTHER: 1})
        await loader.refresh()
        await stands(status="active")
        assert await runner.turn()
        assert (await service.get(principal, made.id)).status == "done"
        made, _ = await service.create(principal, world.fitted.images[300:302], requests, "image/png", trail)
        await stands(epoch=2)  # an erasure, on the other hand, ends what is under way
        world.source.change(epochs={TENANT: 2, OTHER: 1})
        await loader.refresh()
        assert await runner.turn()
        async with database.platform_transaction() as session:
            status = await session.scalar(select(EditBatchRow.status).where(EditBatchRow.id == made.id))
        assert status == "cancelled"


@pytest.mark.parametrize(
    ("images", "edits", "status", "code"),
    [
        (1, [], 422, "invalid_edits"),
        (1, {"adapter": "avatars"}, 422, "invalid_edits"),
        (1, [{"adapter": "avatars", "set": {"nose": "x"}}], 422, "unknown_factor"),
        (1, [{"adapter": "nobody"}], 404, "unknown_adapter"),
        (0, EDITS, 422, "missing_image"),
        (40, EDITS * 20, 413, "batch_too_large"),
    ],
)
async def test_what_cannot_work_is_refused_at_once(edge: Edge, images: int, edits: Any, status: int, code: str) -> None:
    tiny = pixels.encode(np.zeros((2, 2, 3), np.uint8), "image/png")
    answer = await edge.post(
        "/v1/edit_batches",
        files=[("image", ("a.png", tiny))] * images or [("edits", (None, json.dumps(edits)))],
        data={"edits": json.dumps(edits)} if images else {},
        headers=edge.world.headers(),
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_all_that_is_wrong_is_said_with_its_place(edge: Edge) -> None:
    good = edge.world.fitted.images[300]
    answer = await send(edge, [good, b"junk", good, b"", *[b"more junk"] * 30])
    assert answer.status_code == 422
    body = answer.json()
    assert (body["code"], body["param"]) == ("unsupported_image", "/image/1")
    assert body["detail"].startswith("image 1, counted from 0: these 4 bytes are not an image we know")
    assert "32 images have faults" in body["detail"]
    assert [fault["pointer"] for fault in body["errors"]] == [f"/image/{place}" for place in (1, *range(3, 22))]
    answer = await send(edge, [good], [EDITS[0], {"adapter": "avatars", "set": {"nose": "x"}}])
    assert (answer.json()["code"], answer.json()["param"]) == ("unknown_factor", "/edits/1/set/nose")
    answer = await send(edge, [good], [EDITS[0], {"adapter": "avatars", "detail": "fine"}])
    assert (answer.json()["code"], answer.json()["param"]) == ("invalid_edit", "/edits/1/detail")


async def test_items_outside_the_trusted_range_say_so_and_what_would_be_inside(edge: Edge) -> None:
    noise = pixels.encode(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8), "image/png")
    far, near = edge.world.fitted.images[303], edge.world.fitted.images[300]
    done = await finished(edge, (await send(edge, [noise, far, near], [{"adapter": "avatars"}])).json()["id"])
    outside = [one for one in done["results"] if one["extrapolation"] is not None]
    assert outside[0]["image"] == 0
    item = await edge.get(f"/v1/edit_batches/{done['id']}/items/0", headers=edge.world.headers())
    assert float(item.headers["x-extrapolation"]) > 1.0
    assert json.loads(item.headers["x-suggestion"]) == {"reason": "image_outside"}
    assert all(one["extrapolation"] > 1.0 and one["suggestion"] == {"reason": "image_outside"} for one in outside)
    inside = [one for one in done["results"] if one["extrapolation"] is None]
    assert {one["suggestion"] for one in inside} == {None}


async def test_an_edge_without_a_database_says_so(shared_edge: Edge) -> None:
    answer = await shared_edge.get("/v1/edit_batches", headers=shared_edge.world.headers())
    assert (answer.status_code, answer.json()["code"]) == (503, "batches_unavailable")
