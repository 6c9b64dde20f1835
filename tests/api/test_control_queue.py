"""What a tenant sees of the queue: estimates, times, dead letters and their attempts, a cancelled approval."""

import asyncio

import numpy as np

from heddle_adapters.artifact import pack
from heddle_adapters.brief import score_brief
from heddle_adapters.gate import judge
from heddle_adapters.sealed_zip import zipped
from heddle_infra.database import jobs, queue
from heddle_platform.digest import canonical_json
from heddle_platform.factors import parse_factor_set
from heddle_platform.records import Job
from tests.api.control_world import FACTORS, Person, World, claim_all, finish_fit

FIT = {"type": "fit", "adapter": "avatars", "factor_set": FACTORS["name"], "dataset": "spring", "base": "default"}


async def test_an_estimate_stores_nothing_and_says_what_it_goes_by(world: World, tenant: Person) -> None:
    await claim_all(world)
    await world.publish_base()
    await tenant.ready_dataset()
    before = (await tenant.get("/v1/jobs"))["data"]
    told = (await tenant.http.post("/v1/jobs/estimate", json=FIT)).json()
    assert (await tenant.get("/v1/jobs"))["data"] == before
    rows = told["rows"]
    assert rows > 0
    assert told["cost_units"] % rows == 0
    assert told["based_on"]["jobs_ahead"] == 0
    assert told["based_on"]["latents_cached"] is False
    await tenant.queue_two_fits()
    again = (await tenant.http.post("/v1/jobs/estimate", json=FIT)).json()
    assert again["based_on"]["jobs_ahead"] == 2
    refused = await tenant.http.post("/v1/jobs/estimate", json={**FIT, "dataset": "nothing"})
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_dataset")


async def test_times_come_from_fits_that_ended(world: World, tenant: Person) -> None:
    await claim_all(world)
    first, second = await tenant.queue_two_fits()
    [job] = await claimed(world, 1)
    assert job.id == first
    await finish_fit(world, job, "pass")
    for _ in range(20):  # a plane looks at the queue twice a second
        await asyncio.sleep(0.2)
        shown = await tenant.get(f"/v1/jobs/{second}")
        if shown["queue_position"] == 0:
            break
    assert shown["queue_position"] == 0
    assert shown["created_at"] < shown["estimated_start_at"] < shown["estimated_end_at"]
    told = (await tenant.http.post("/v1/jobs/estimate", json=FIT)).json()
    assert told["based_on"]["jobs_measured"] >= 1
    assert told["seconds"] > 0
    assert told["queue_wait_seconds"] > 0


async def test_a_dead_letter_tells_its_attempts_and_can_be_sent_again(world: World, tenant: Person) -> None:
    await claim_all(world)
    dead, other = await tenant.queue_two_fits()
    for attempt in (1, 2):
        [job] = await claimed(world, 1)
        assert (job.id, job.attempt) == (dead, attempt)
        async with world.ports.database.platform_transaction() as session:
            await queue.give_back(session, dead, attempt, after_seconds=0, why="the worker of heddle_fit was lost")
    assert await claimed(world, 1, max_attempts=2) == []
    shown = await tenant.get(f"/v1/jobs/{dead}")
    assert (shown["status"], shown["dead_letter"], shown["error"]["code"]) == ("failed", True, "attempts_exhausted")
    assert [(one["attempt"], one["why"]) for one in shown["attempts"]] == [
        (1, "the worker of heddle_fit was lost"),
        (2, "the worker of heddle_fit was lost"),
    ]
    letters = (await tenant.get("/v1/jobs", params={"status": "failed", "dead_letter": True}))["data"]
    assert [job["id"] for job in letters] == [dead]
    again = await tenant.http.post(f"/v1/jobs/{dead}/retry")
    assert (again.status_code, again.json()["status"], again.json()["dead_letter"]) == (202, "queued", False)
    refused = await tenant.http.post(f"/v1/jobs/{other}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_failed")


async def test_cancelling_what_awaits_approval_rejects_the_version(world: World, tenant: Person) -> None:
    await claim_all(world)
    job_id = await fit_awaiting_approval(world, tenant)
    cancelled = await tenant.http.post(f"/v1/jobs/{job_id}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    version = await tenant.get("/v1/adapters/avatars/versions/1")
    assert version["status"] == "rejected"
    approval = await tenant.http.post(
        "/v1/adapters/avatars/versions/1/approvals", json={"decision": "approve", "comment": ""}
    )
    assert (approval.status_code, approval.json()["code"]) == (409, "already_decided")


async def test_a_finished_job_of_another_tenant_cannot_be_sent_again(
    world: World, tenant: Person, other: Person
) -> None:
    await claim_all(world)
    mine, _ = await tenant.queue_two_fits()
    async with world.ports.database.platform_transaction() as session:
        await jobs.close(session, mine, status="failed")
    answer = await other.http.post(f"/v1/jobs/{mine}/retry")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_job")


async def claimed(world: World, limit: int, max_attempts: int = 5) -> list[Job]:
    async with world.ports.database.platform_transaction() as session:
        return await queue.claim(session, owner="test", limit=limit, lease_seconds=60, max_attempts=max_attempts)


async def fit_awaiting_approval(world: World, tenant: Person) -> str:
    first, _ = await tenant.queue_two_fits()
    [job] = await claimed(world, 1)
    assert job.id == first
    await finish_fit(world, job, "needs_approval")
    return first


async def test_a_brief_fit_says_so_and_its_packed_pages_are_read_like_others(world: World, tenant: Person) -> None:
    await claim_all(world)
    await world.publish_base()
    await tenant.ready_dataset()
    made = (await tenant.http.post("/v1/jobs", json={**FIT, "card": "brief"})).json()
    assert made["card"] == "brief"
    assert (await tenant.http.post("/v1/jobs", json={**FIT, "card": "short"})).status_code == 422
    [job] = await claimed(world, 1)
    assert job.spec["card"] == "brief"
    stored = zipped({"card.html": b"<!doctype html><title>brief</title>", "adapter.onnx": b"graph"})
    await finish_fit(world, job, "pass", pack=stored)
    page = await tenant.http.get("/v1/adapters/avatars/versions/1/card", headers={"Accept": "text/html"})
    assert (page.status_code, page.content) == (200, b"<!doctype html><title>brief</title>")
    graph = await tenant.http.get("/v1/adapters/avatars/versions/1/download", params={"format": "onnx"})
    assert (graph.status_code, graph.content) == (200, b"graph")
    playbook = await tenant.http.get("/v1/adapters/avatars/versions/1/playbook")
    assert (playbook.status_code, playbook.json()["code"]) == (404, "unknown_file")
    assert "playbook.html" in playbook.json()["detail"]


async def test_the_pages_of_a_brief_fit_are_drawn_when_somebody_looks(world: World, tenant: Person) -> None:
    await claim_all(world)
    await world.publish_base()
    await tenant.ready_dataset()
    await tenant.http.post("/v1/jobs", json={**FIT, "card": "brief"})
    [job] = await claimed(world, 1)
    random, factor_set = np.random.default_rng(0), parse_factor_set(FACTORS)
    latents_NL = random.normal(size=(120, 8))
    values_NF = (latents_NL[:, :2] > 0).astype(np.float64)
    adapter, card = score_brief(latents_NL, values_NF, factor_set, base_digest="b" * 64, round_trip=lambda seen: seen)
    document = {**card.document(), "gate": judge(card, factor_set).model_dump(mode="json")}
    await finish_fit(world, job, "pass", pack=zipped({"card.json": canonical_json(document)}), matrices=pack(adapter))
    page = await tenant.http.get("/v1/adapters/avatars/versions/1/card", headers={"Accept": "text/html"})
    playbook = await tenant.http.get("/v1/adapters/avatars/versions/1/playbook")
    for answer in (page, playbook):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.text.lower().startswith("<!doctype html>")
        assert "glasses" in answer.text
