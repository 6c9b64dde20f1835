"""The preview: answered at once from latents that lie there, stores nothing, sees its own tenant only."""

import asyncio
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from heddle_infra.database import bases, datasets
from heddle_platform import keys
from heddle_platform.digest import sha256_hex
from heddle_platform.latents import pack_latents
from heddle_platform.manifest import Manifest, ManifestImage
from tests.api.control_world import FACTORS, Person, World
from tests.api.live import Live
from tests.api.test_control_cli import shell

LEVELS = ("none", "round")
ROWS, SPARE = 60, 20


def latents_of(rows: int = ROWS + SPARE) -> NDArray[np.float32]:
    """Glasses move the first latent, smiles the second; never both at once among labelled rows."""
    random = np.random.default_rng(0)
    latents_NL = random.normal(scale=0.5, size=(rows, 8))
    latents_NL[:, 0] += 4 * (np.arange(rows) % 3 == 0)
    latents_NL[:, 1] += 4 * (np.arange(rows) % 3 == 1)
    latents_NL[-1, :2] += 4
    return latents_NL.astype(np.float32)


def labels_of(row: int) -> dict[str, str]:
    return {"glasses": LEVELS[int(row % 3 == 0)], "smile": str(int(row % 3 == 1))}


async def encoded_set(person: Person, spoilt: int = 0) -> str:
    """Register a ready set whose latents an earlier fit left behind.

    The first `spoilt` rows are labelled wrong, and weigh next to nothing.
    """
    await person.world.publish_base()
    data = b"a zip to preview " + person.id.encode()
    dataset = await person.ready_dataset(data)
    digest = sha256_hex(data)
    labels = [labels_of(row + 1) | {"weight": "1e-6"} if row < spoilt else labels_of(row) for row in range(ROWS)]
    images = tuple(
        ManifestImage(file=f"{row}.png", sha256=sha256_hex(b"%d" % row), labels=labels[row] if row < ROWS else {})
        for row in range(ROWS + SPARE)
    )
    manifest = Manifest(images=digest, rows=images[:ROWS], unlabelled=images[ROWS:])
    person.world.objects.put(keys.dataset_manifest(person.id, digest), manifest.to_bytes())
    async with person.world.ports.database.platform_transaction() as session:
        base = await bases.resolve(session, "default")
        assert (await datasets.resolve(session, person.id, dataset)).digest == digest
    person.world.objects.put(keys.latents(person.id, digest, base.digest), pack_latents(latents_of()))
    return dataset


def inline(**change: Any) -> dict[str, Any]:
    """Latents and labels in the request itself."""
    rows = latents_of()
    labels: list[dict[str, Any]] = [labels_of(row) if row < ROWS else {} for row in range(len(rows))]
    return {"factor_set": "avatars", "latents": rows.tolist(), "labels": labels, **change}


async def test_a_set_that_was_encoded_is_previewed(tenant: Person) -> None:
    dataset = await encoded_set(tenant)
    found = await tenant.post("/v1/fits/preview", {"dataset": "spring"})
    assert (found["dataset"], found["rows"], found["candidates"]) == (dataset, ROWS, SPARE)
    assert [(one["name"], one["labels"], one["measure"]) for one in found["factors"]] == [
        ("glasses", ROWS, "accuracy"),
        ("smile", ROWS, "accuracy"),
    ]
    assert all(one["score"] > 0.95 > one["chance"] for one in found["factors"])
    rows = [point["rows"] for point in found["learning_curve"]]
    assert rows == sorted(set(rows))
    assert rows[-1] == ROWS * 3 // 4
    assert len(found["label_next"]) == 10
    best = found["label_next"][0]
    # the one picture with both, which no labelled image shows
    assert (best["file"], best["row"], best["reason"]) == (f"{ROWS + SPARE - 1}.png", ROWS + SPARE - 1, "empty_cell")
    assert f"0 of {ROWS} labelled images" in best["sentence"]
    assert len({one["row"] for one in found["label_next"]}) == 10
    assert all(any(character.isdigit() for character in one["sentence"]) for one in found["label_next"])


async def test_a_preview_goes_by_the_sets_weights(tenant: Person) -> None:
    await encoded_set(tenant, spoilt=25)
    found = await tenant.post("/v1/fits/preview", {"dataset": "spring"})
    assert found["rows"] == ROWS
    assert all(one["score"] > 0.95 for one in found["factors"])


async def test_latents_may_come_inline_and_labels_as_they_are_spoken(tenant: Person) -> None:
    await tenant.post("/v1/factor_sets", FACTORS)
    body = inline(count=3)
    body["labels"][4]["smile"] = True
    body["labels"][5] = {"glasses": None, "smile": 0}
    found = await tenant.post("/v1/fits/preview", body)
    assert (found["dataset"], found["base"], len(found["label_next"])) == (None, None, 3)
    assert found["candidates"] == SPARE + 1
    assert found["label_next"][0]["file"] is None


async def test_nothing_is_stored_and_the_same_question_has_the_same_answer(world: World, tenant: Person) -> None:
    await encoded_set(tenant)
    before = {info.key: info.version for info in world.objects.list("")}
    key = {"Idempotency-Key": "again"}
    first = await tenant.post("/v1/fits/preview", {"dataset": "spring"}, headers=key)
    assert await tenant.post("/v1/fits/preview", {"dataset": "spring"}, headers=key) == first
    other = await tenant.http.post("/v1/fits/preview", json={"dataset": "spring", "count": 2}, headers=key)
    assert (other.status_code, "idempotency-replayed" in other.headers) == (200, False)
    assert {info.key: info.version for info in world.objects.list("")} == before
    assert (await tenant.get("/v1/jobs"))["data"] == []


async def test_a_set_that_was_never_encoded_says_what_to_do(world: World, tenant: Person) -> None:
    await world.publish_base()
    await tenant.ready_dataset(b"never encoded")
    answer = await tenant.http.post("/v1/fits/preview", json={"dataset": "spring"})
    assert (answer.status_code, answer.json()["code"]) == (409, "latents_not_ready")
    assert "POST /v1/jobs" in answer.json()["detail"]
    await tenant.dataset(b"still validating", name="later")
    answer = await tenant.http.post("/v1/fits/preview", json={"dataset": "later"})
    assert (answer.status_code, answer.json()["code"]) == (409, "dataset_not_ready")


async def test_somebody_elses_set_does_not_exist(tenant: Person, other: Person) -> None:
    theirs = await encoded_set(other)
    for reference in (theirs, "spring"):
        answer = await tenant.http.post("/v1/fits/preview", json={"dataset": reference})
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_dataset")
    answer = await tenant.http.post("/v1/fits/preview", json=inline())
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_factor_set")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"dataset": "spring"}, 422, "invalid_request"),
        ({"labels": None}, 422, "invalid_request"),
        ({"count": 0}, 422, "invalid_request"),
        ({"labels": [{}]}, 422, "row_count_mismatch"),
        ({"latents": [[1.0], [1.0, 2.0]], "labels": [{}, {}]}, 422, "wrong_shape"),
        ({"labels": [{} for _ in range(ROWS + SPARE)]}, 422, "too_few_labels"),
        ({"labels": [{"glasses": "square"} for _ in range(ROWS + SPARE)]}, 422, "invalid_value"),
        ({"labels": [{"hat": "round"} for _ in range(ROWS + SPARE)]}, 422, "unknown_factor"),
        ({"factor_set": "nothing"}, 404, "unknown_factor_set"),
    ],
)
async def test_bad_previews(tenant: Person, change: dict[str, Any], status: int, code: str) -> None:
    await tenant.post("/v1/factor_sets", FACTORS)
    answer = await tenant.http.post("/v1/fits/preview", json=inline(**change))
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_key_for_data_alone_may_not_preview(world: World, tenant: Person) -> None:
    key = (await tenant.post("/v1/api_keys", {"name": "d", "scopes": ["data"]}))["api_key"]
    answer = await world.client(key).post("/v1/fits/preview", json={"dataset": "spring"})
    assert answer.status_code == 403


async def test_the_client_and_the_command_show_it(live: Live) -> None:
    person = await live.world.tenant("previewer")
    await encoded_set(person)
    with live.client(person.key) as client:
        found = await asyncio.to_thread(lambda: client.preview_fit("spring", count=2))
    assert (found.rows, len(found.label_next)) == (ROWS, 2)
    shown = await shell(live, "preview", "spring", "--count", "1", key=person.key)
    assert shown.exit_code == 0, shown.output
    assert "glasses" in shown.stdout
    assert f"{ROWS + SPARE - 1}.png" in shown.stdout
