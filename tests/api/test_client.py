"""The client: the whole path on a real control plane, and what it does when servers fail."""

import asyncio
import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from heddle_api.cli.publish import pack_bundle, publish_default_base
from heddle_api.client import ApiError, HeddleClient, JobInfo, Unreachable
from heddle_api.client.transport import Patience
from heddle_platform import keys
from heddle_platform.base.bundle import write_bundle
from heddle_platform.base.graft import graft
from tests.api.control_world import FACTORS, PART_BYTES, Person, claim_all, finish_fit
from tests.api.live import Live, Script, problem, served
from tests.api.test_control_bases import bundle
from tests.api.tiny_editor import tiny_parts


async def test_the_whole_path_of_a_tenant(live: Live, tmp_path: Path) -> None:
    world = live.world
    await world.publish_base()
    with live.client(world.admin_key) as operator:
        made = await asyncio.to_thread(operator.create_tenant, "acme")
    person = Person(world, made.id, made.api_key, world.client(made.api_key))
    source = tmp_path / "spring.zip"
    source.write_bytes(bytes(PART_BYTES) + b"tail")
    told: list[tuple[int, int]] = []
    with live.client(made.api_key) as client:
        factor_set = await asyncio.to_thread(client.register_factor_set, FACTORS)
        dataset = await asyncio.to_thread(
            lambda: client.upload_dataset(
                "spring", source, factor_set=factor_set.name, on_progress=lambda *sent: told.append(sent)
            )
        )
        size = PART_BYTES + 4
        assert told == [(sent, size) for sent in (*range(256 * 1024, PART_BYTES + 1, 256 * 1024), size)]
        waiting = asyncio.create_task(asyncio.to_thread(client.wait_for_dataset, dataset.id))
        await person.validated(dataset.id, source.read_bytes())
        assert (await waiting).status == "ready"
        job = await asyncio.to_thread(lambda: client.fit("avatars", factor_set="avatars", dataset="spring"))
        assert (job.status, job.is_final) == ("queued", False)
        claimed = next(found for found in await claim_all(world) if found.id == job.id)
        seen: list[JobInfo] = []
        waiting_job = asyncio.create_task(
            asyncio.to_thread(lambda: client.wait_for_job(job.id, on_progress=seen.append))
        )
        await finish_fit(world, claimed, "needs_approval")
        done = await waiting_job
        assert (done.status, done.result and done.result["version"]) == ("awaiting_approval", 1)
        assert seen[-1] == done
        await asyncio.to_thread(use_adapter, client, tmp_path)


def use_adapter(client: HeddleClient, folder: Path) -> None:
    """Approve, move, roll back, read and download."""
    assert client.approve("avatars", 1, "looks right")["status"] == "approved"
    assert client.adapter("avatars").aliases == {"production": 1}
    production = client.alias("avatars")
    assert (production.version, production.etag) == (1, '"1"')
    canary = client.move_alias("avatars", "canary", 1)
    with pytest.raises(ApiError) as caught:
        client.move_alias("avatars", "canary", 1, etag='"9"')
    assert (caught.value.status, caught.value.code) == (412, "precondition_failed")
    assert client.move_alias("avatars", "canary", 1, etag=canary.etag).version == 1
    with pytest.raises(ApiError) as caught:
        client.rollback("avatars")
    assert caught.value.code == "nothing_to_roll_back"
    moves = client.alias_moves("avatars", "production")
    assert [(move.version, move.reason, move.comment) for move in moves] == [(1, "approved", "looks right")]
    assert client.card("avatars")["adapter"] == "avatars"
    assert "<title>card" in client.card_page("avatars", 1)
    assert "<title>playbook" in client.playbook_page("avatars")
    client.download_to(folder / "adapter.onnx", "avatars", file_format="onnx")
    assert (folder / "adapter.onnx").read_bytes() == b"graph"
    client.download_to(folder / "editor.onnx", "avatars", file_format="editor")
    assert (folder / "editor.onnx").read_bytes() == graft(*tiny_parts())
    assert [version.verdict for version in client.versions("avatars")] == ["needs_approval"]
    assert [found.name for found in client.adapters()] == ["avatars"]


async def test_lists_are_read_to_their_end(live: Live) -> None:
    person = await live.world.tenant()
    for index in range(3):
        await person.post("/v1/factor_sets", {**FACTORS, "name": f"set{index}"})

    def read() -> list[str]:
        with live.client(person.key) as client:
            return [found["name"] for found in client._all("/v1/factor_sets", limit=2)]

    assert await asyncio.to_thread(read) == ["set2", "set1", "set0"]


async def test_refusals_carry_the_problem_document(live: Live) -> None:
    person = await live.world.tenant()

    def refuse() -> ApiError:
        with live.client(person.key) as client, pytest.raises(ApiError) as caught:
            client.register_factor_set("name: twins\nfactors: [{name: a, kind: binary}, {name: a, kind: binary}]")
        return caught.value

    error = await asyncio.to_thread(refuse)
    assert (error.status, error.code, error.retryable) == (422, "invalid_factor_set", False)
    assert error.errors[0]["code"] == "duplicate_name"
    assert error.request_id is not None
    again = pickle.loads(pickle.dumps(error))
    assert (again.status, again.document) == (error.status, error.document)


async def test_parts_are_sent_again_and_the_key_stays_with_us(live: Live) -> None:
    person = await live.world.tenant()
    live.store.failures = 2
    told: list[tuple[int, int]] = []

    def send() -> str:
        with live.client(person.key) as client:
            return client.upload(b"some bytes", on_progress=lambda *sent: told.append(sent))

    upload_id = await asyncio.to_thread(send)
    assert live.store.get(keys.upload(person.id, upload_id)) == b"some bytes"
    assert len(live.store.sent) == 3
    assert told == [(10, 10)]  # a part that is sent again says nothing new
    for headers in live.store.sent:  # an object store takes no body of unknown length
        assert (headers["content-length"], headers.get("transfer-encoding")) == ("10", None)
    assert not any("authorization" in headers for headers in live.store.sent)


async def test_the_packaged_base_is_published_once_and_operators_decisions_stand(live: Live, tmp_path: Path) -> None:
    world, first = live.world, bundle()
    write_bundle(first, tmp_path / "first")
    key = world.admin_key
    publish = lambda name: publish_default_base(live.url, key, bundle_path=tmp_path / name)  # noqa: E731
    assert await asyncio.to_thread(publish, "first") == first.digest
    base = (await world.admin.get("/v1/bases/default")).json()
    assert (base["digest"], base["name"]) == (first.digest, "default")
    sent = len(live.store.sent)
    assert await asyncio.to_thread(publish, "first") == first.digest
    assert len(live.store.sent) == sent  # nothing was uploaded again
    chosen = await world.publish_base("chosen")  # an operator moves the alias away
    assert await asyncio.to_thread(publish, "first") == first.digest
    assert (await world.admin.get("/v1/bases/default")).json()["id"] == chosen
    second = bundle()  # a new release ships another base
    write_bundle(second, tmp_path / "second")
    assert await asyncio.to_thread(publish, "second") == second.digest
    assert (await world.admin.get("/v1/bases/default")).json()["digest"] == second.digest


def test_equal_bundles_are_equal_zips() -> None:
    assert pack_bundle(bundle("same")) == pack_bundle(bundle("same"))


@dataclass
class Scripted:
    """A client on a scripted server, and how long it waited."""

    script: Script
    client: HeddleClient
    waits: list[float]


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    script = Script([])
    waits: list[float] = []
    patience = Patience(attempts=4, first_wait_seconds=1.0)
    with served(script) as url:
        yield Scripted(script, HeddleClient(url, url, "key", patience=patience, sleep=waits.append), waits)


TENANT = {"id": "ten_1", "name": "acme", "api_key": "k", "plan": "new"}


def test_a_post_is_sent_again_with_the_same_idempotency_key(scripted: Scripted) -> None:
    scripted.script.answers = [
        None,
        problem(503, "unavailable"),
        problem(409, "idempotency_key_in_flight"),
        JSONResponse(TENANT, 201),
    ]
    made = scripted.client.create_tenant("acme")
    assert (made.id, made.document()["plan"]) == ("ten_1", "new")
    keys_sent = {headers["idempotency-key"] for _, _, headers, _ in scripted.script.requests}
    assert (len(keys_sent), len(scripted.script.requests)) == (1, 4)
    assert len({body for *_, body in scripted.script.requests}) == 1
    for wait, longest in zip(scripted.waits, (1.0, 2.0, 4.0), strict=True):
        assert longest / 2 <= wait <= longest


def test_another_post_has_another_key(scripted: Scripted) -> None:
    scripted.script.answers = [JSONResponse(TENANT, 201), JSONResponse(TENANT, 201)]
    scripted.client.create_tenant("acme")
    scripted.client.create_tenant("acme")
    assert len({headers["idempotency-key"] for _, _, headers, _ in scripted.script.requests}) == 2


def test_retry_after_is_honoured_in_seconds_and_as_a_date(scripted: Scripted) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    headers: list[dict[str, str]] = [{"Retry-After": "7"}, {"Retry-After": later}, {"Retry-After": "900"}]
    scripted.script.answers = [problem(429, "rate_limited", **header) for header in headers]
    scripted.script.answers.append(JSONResponse({"id": "job_1", "type": "fit", "status": "queued"}))
    assert scripted.client.job("job_1").status == "queued"
    assert scripted.waits[0] == 7.0
    assert 15.0 < scripted.waits[1] <= 20.0
    assert scripted.waits[2] == 30.0  # nobody waits a quarter of an hour unasked


def test_what_cannot_get_better_is_not_tried_again(scripted: Scripted) -> None:
    for status, code in ((404, "unknown_job"), (409, "job_finished"), (500, "internal_error")):
        scripted.script.answers = [problem(status, code)]
        with pytest.raises(ApiError) as caught:
            scripted.client.job("job_1")
        assert (caught.value.status, caught.value.code) == (status, code)
    assert scripted.waits == []


def test_patience_ends(scripted: Scripted) -> None:
    scripted.script.answers = [problem(503, "unavailable")] * 4
    with pytest.raises(ApiError) as caught:
        scripted.client.job("job_1")
    assert (caught.value.status, caught.value.retryable, len(scripted.waits)) == (503, True, 3)


def test_a_server_that_is_not_there(scripted: Scripted) -> None:
    client = HeddleClient("http://127.0.0.1:9", api_key="key", patience=Patience(2, 0.0), sleep=lambda _: None)
    with pytest.raises(Unreachable) as caught:
        client.me()
    assert caught.value.status == 0
    assert "http://127.0.0.1:9" in caught.value.detail


def test_an_answer_that_is_no_problem_document(scripted: Scripted) -> None:
    scripted.script.answers = [Response("<h1>teapot</h1>", 418)]
    with pytest.raises(ApiError) as caught:
        scripted.client.me()
    assert (caught.value.status, caught.value.code) == (418, "unexpected_answer")


def test_ids_cannot_leave_their_segment_of_the_path(scripted: Scripted) -> None:
    scripted.script.answers = [problem(404, "unknown_job")]
    with pytest.raises(ApiError):
        scripted.client.job("../admin/tenants?x=1")
    assert scripted.script.requests[0][1] == "/v1/jobs/..%2Fadmin%2Ftenants%3Fx%3D1"


EDITED = {
    "X-Edit-Id": "edt_1",
    "X-Adapter-Version": "avatars@3",
    "X-Cache": "latent",
    "X-Extrapolation": "1.25",
}


def test_an_edit_sends_image_and_document_and_reads_the_headers(scripted: Scripted, tmp_path: Path) -> None:
    (tmp_path / "me.png").write_bytes(b"pixels")
    scripted.script.answers = [Response(b"edited", media_type="image/webp", headers=EDITED)]
    edit = {"adapter": "avatars", "set": {"glasses": "round"}}
    made = scripted.client.edit(tmp_path / "me.png", edit, accept="image/webp")
    assert (made.image, made.media_type, made.edit_id) == (b"edited", "image/webp", "edt_1")
    assert (made.adapter_version, made.cache, made.extrapolation) == ("avatars@3", "latent", 1.25)
    method, path, headers, body = scripted.script.requests[0]
    assert (method, path, headers["accept"]) == ("POST", "/v1/edits", "image/webp")
    assert b'name="image"; filename=' in body
    assert b"pixels" in body
    assert json.dumps(edit).encode() in body


def test_an_image_kept_at_the_edge_is_named_by_its_id(scripted: Scripted) -> None:
    taken: dict[str, Any] = {"image_id": "img_1", "readings": {"glasses": {"value": "none"}}, "expires_at": "x"}
    scripted.script.answers = [JSONResponse(taken, 201), Response(b"edited", media_type="image/png")]
    image = scripted.client.take_image(b"pixels", adapter="avatars")
    assert image.readings == taken["readings"]
    scripted.client.edit(image.image_id, {"adapter": "avatars", "set": {}})
    body = scripted.script.requests[1][3]
    assert b'name="image_id"\r\n\r\nimg_1' in body
    assert b"filename" not in body


def test_a_path_as_text_is_not_taken_for_an_id(scripted: Scripted) -> None:
    with pytest.raises(ValueError, match=r"pathlib\.Path\('me\.png'\)"):
        scripted.client.edit("me.png", {"adapter": "avatars"})
    assert scripted.script.requests == []


def test_a_grid_tells_its_values(scripted: Scripted) -> None:
    headers = {"X-Grid-Values": '["none", "round"]'}
    scripted.script.answers = [Response(b"strip", media_type="image/png", headers=headers)]
    grid = scripted.client.edit_grid(b"pixels", "avatars", "glasses", detail="decode")
    assert (grid.image, grid.values) == (b"strip", ("none", "round"))
    assert b'"factor": "glasses", "detail": "decode"' in scripted.script.requests[0][3]


def test_without_its_address_the_edge_is_asked_for(scripted: Scripted) -> None:
    with served(scripted.script) as url:
        client = HeddleClient(url, api_key="key")
        scripted.script.answers = [JSONResponse({"edge_url": url, "version": "0"}), Response(b"edited")]
        assert client.edit(b"pixels", {"adapter": "a"}).image == b"edited"
    assert [path for _, path, *_ in scripted.script.requests] == ["/studio/config.json", "/v1/edits"]


def test_every_wait_tells_what_was_read(scripted: Scripted) -> None:
    client, pages = scripted.client, scripted.script
    dataset, erasure = {"id": "ds_1", "name": "spring"}, {"id": "era_1"}
    rollout = {"id": "rol_1", "base": {}, "job": "job_1", "counts": {}}
    batch = {"id": "bat_1", "items": 2}
    for wait, document, statuses in (
        (client.wait_for_dataset, dataset, ("validating", "ready")),
        (client.wait_for_erasure, erasure, ("queued", "done")),
        (client.wait_for_rollout, rollout, ("fitting", "canary")),
        (client.wait_for_batch, batch, ("running", "done")),
    ):
        pages.answers = [JSONResponse({**document, "status": status}) for status in statuses]
        seen: list[Any] = []
        found = wait("x", on_progress=seen.append)
        assert (found.status, tuple(each.status for each in seen)) == (statuses[1], statuses)


def test_waiting_ends(scripted: Scripted) -> None:
    scripted.script.answers = [JSONResponse({"id": "job_1", "type": "fit", "status": "queued"})] * 2
    with pytest.raises(ApiError) as caught:
        scripted.client.wait_for_job("job_1", timeout_seconds=-1.0)
    assert caught.value.code == "wait_timed_out"
