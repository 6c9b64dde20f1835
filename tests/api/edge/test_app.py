"""The plane as a process: probes, metrics, what it needs to be imported, and what it does when others are away."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime

import httpx
import pytest

from heddle_api.auth import mint_key
from heddle_api.edge import held
from heddle_infra.database.serving import ServedKey
from heddle_platform.digest import sha256_hex
from tests.api.edge.edge_world import TENANT, Edge

BLOCKED = ("torch", "ray", "onnx", "sklearn", "dicebear", "mlflow")


def test_the_edge_imports_without_the_workers_libraries() -> None:
    code = (
        "import sys\n"
        f"for name in {BLOCKED!r}: sys.modules[name] = None\n"
        "from heddle_api.edge.app import create_app\n"
        "app = create_app()\n"
        "print(len(app.openapi()['paths']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PATH": ""}, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 3


async def test_probes_and_metrics(edge: Edge) -> None:
    assert (await edge.get("/healthz")).json() == {"status": "ok"}
    ready = await edge.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]) == (200, {"snapshot": True, "base": True})
    await edge.edit(edge.world.fitted.images[0])
    text = (await edge.get("/metrics")).text
    assert 'heddle_requests_total{method="POST",plane="edge",route="/v1/edits",status="200"} 1.0' in text
    assert 'heddle_edits_total{cache="miss"} 1.0' in text
    assert "heddle_adapters_resident 1.0" in text
    assert "heddle_edit_queue_rows 0.0" in text


async def test_with_the_cache_away_edits_go_on_and_latents_are_held_here(edge: Edge) -> None:
    image = edge.world.fitted.images[0]
    edge.world.cache.away = True
    without = []
    for level in ("none", "round"):
        without.append(await edge.edit(image, set={"glasses": level}))
        await edge.state["edits"].settle()
    assert [answer.headers["x-cache"] for answer in without] == ["miss", "latent"]
    assert "heddle_cache_failures_total 4.0" in (await edge.get("/metrics")).text  # a look and a write, twice
    edge.world.cache.away = False
    edge.world.source.change(epochs={**edge.world.source.now.epochs, TENANT: 2})
    await edge.state["readiness"].refresh()
    with_cache = [await edge.edit(image, set={"glasses": level}) for level in ("none", "round")]
    assert [answer.headers["x-cache"] for answer in with_cache] == ["miss", "latent"]
    assert [answer.content for answer in with_cache] == [answer.content for answer in without]


async def test_with_the_cache_away_an_image_is_held_here_for_a_while(edge: Edge) -> None:
    edge.world.cache.away = True
    files = {"image": ("face.png", edge.world.fitted.images[0])}
    taken = await edge.post("/v1/images", files=files, headers=edge.world.headers())
    assert taken.status_code == 201
    left = datetime.fromisoformat(taken.json()["expires_at"]) - datetime.now(UTC)
    assert left.total_seconds() <= held.SECONDS
    form = {"image_id": (None, taken.json()["image_id"]), "edit": (None, json.dumps({"adapter": "avatars"}))}
    answer = await edge.post("/v1/edits", files=form, headers=edge.world.headers())
    assert (answer.status_code, answer.headers["x-cache"]) == (200, "latent")
    edge.world.cache.away = False  # and still, when the cache is back and knows nothing of it
    assert (await edge.post("/v1/edits", files=form, headers=edge.world.headers())).status_code == 200
    other = await edge.post("/v1/edits", files=form, headers=edge.world.headers("other"))
    assert other.status_code == 404  # its adapter, and it would be its image


async def test_with_the_cache_away_an_unknown_image_is_not_called_gone(edge: Edge) -> None:
    edge.world.cache.away = True
    form = {"image_id": (None, "img_" + "0" * 26), "edit": (None, json.dumps({"adapter": "avatars"}))}
    answer = await edge.post("/v1/edits", files=form, headers=edge.world.headers())
    assert answer.status_code == 503
    assert answer.json()["retryable"] is True
    assert int(answer.headers["retry-after"]) >= 1


async def test_with_database_and_store_away_resident_adapters_go_on(edge: Edge) -> None:
    edge.world.source.away = True
    edge.world.objects.objects.clear()
    answer = await edge.edit(edge.world.fitted.images[0], set={"glasses": "none"})
    assert answer.status_code == 200
    assert (await edge.get("/readyz")).status_code == 200


async def test_a_new_key_works_before_the_next_snapshot_and_a_wrong_one_is_looked_up_once(edge: Edge) -> None:
    fresh, wrong = mint_key(), mint_key()
    edge.world.source.fresh_keys[fresh.hash] = (ServedKey("key_new", TENANT, ("edits",), None), 1)
    edge.world.keys |= {"fresh": fresh.plaintext, "wrong": wrong.plaintext}
    image = edge.world.fitted.images[0]
    assert (await edge.edit(image, who="fresh")).status_code == 200
    before = edge.world.source.lookups
    for _ in range(3):
        assert (await edge.edit(image, who="wrong")).status_code == 401
    assert edge.world.source.lookups == before + 1


async def test_an_unknown_key_while_the_database_is_away_is_no_401(edge: Edge) -> None:
    edge.world.source.away = True
    edge.world.keys["stranger"] = "hdl_x_never_seen"
    answer = await edge.edit(edge.world.fitted.images[0], who="stranger")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


async def test_a_raised_epoch_forgets_what_is_cached(edge: Edge) -> None:
    image = edge.world.fitted.images[0]
    assert [(await edge.edit(image)).headers["x-cache"] for _ in range(2)] == ["miss", "hit"]
    edge.world.source.change(epochs={**edge.world.source.now.epochs, TENANT: 2})
    await edge.state["readiness"].refresh()
    assert (await edge.edit(image)).headers["x-cache"] == "miss"


async def test_equal_edits_at_once_are_made_once(edge: Edge) -> None:
    image = edge.world.fitted.images[7]
    answers: list[httpx.Response] = await asyncio.gather(*(edge.edit(image, set={"skin": "ebony"}) for _ in range(8)))
    assert {sha256_hex(answer.content) for answer in answers} == {sha256_hex(answers[0].content)}
    text = (await edge.get("/metrics")).text
    assert "heddle_batch_rows_sum 1.0" in text
    assert 'heddle_edits_total{cache="miss"} 8.0' in text


async def test_bodies_above_the_budget_are_turned_away_at_once(edge: Edge) -> None:
    admission = edge.state["admission"]
    with admission.hold(16 * edge.state["max_body_bytes"] - 10):
        answer = await edge.edit(edge.world.fitted.images[0])
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"
    assert (await edge.edit(edge.world.fitted.images[0])).status_code == 200


@pytest.mark.parametrize("path", ["/v1/edits", "/v1/images", "/v1/edits/grid"])
async def test_the_document_of_the_api_describes_the_forms(edge: Edge, path: str) -> None:
    document = (await edge.get("/openapi.json")).json()
    body = document["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert {"image", "image_id"} <= set(body)
