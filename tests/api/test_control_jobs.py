"""Jobs: queued with resolved references, waiting for their set, cancelled, watched to their end."""

import asyncio

import httpx
import pytest

from heddle_infra.database import jobs, queue
from heddle_infra.database.queue import Beat
from heddle_platform.records import JobError
from tests.api.control_world import FACTORS, Person, World, claim_all, events_of

SSE = {"Accept": "text/event-stream"}


async def test_a_fit_is_queued_with_every_reference_resolved(world: World, tenant: Person) -> None:
    base = await world.publish_base()
    dataset = await tenant.ready_dataset()
    body = {"type": "fit", "adapter": "avatars", "factor_set": "avatars", "dataset": "spring", "base": "default"}
    answer = await tenant.http.post("/v1/jobs", json=body)
    made = answer.json()
    assert (answer.status_code, made["status"], made["adapter"]) == (202, "queued", "avatars")
    assert answer.headers["location"] == f"/v1/jobs/{made['id']}"
    assert (made["dataset"], made["base"]["id"], made["error"], made["result"]) == (dataset, base, None, None)
    assert made["queue_position"] is not None
    job = next(job for job in await claim_all(world) if job.id == made["id"])
    assert set(job.spec) == {
        "adapter",
        "factor_set_id",
        "factor_set_version",
        "dataset_id",
        "base_id",
        "base_digest",
        "base_name",
    }
    running = await tenant.get(f"/v1/jobs/{made['id']}")
    assert (running["status"], running["attempt"], running["queue_position"]) == ("running", 1, None)
    assert running["started_at"].endswith("Z")


async def test_places_in_the_queue_are_shown_in_lists_too(world: World, tenant: Person) -> None:
    await claim_all(world)  # what other tests left waiting
    first, second = await tenant.queue_two_fits()
    listed = (await tenant.get("/v1/jobs"))["data"]
    assert [(job["id"], job["queue_position"]) for job in listed] == [(second, 1), (first, 0)]
    assert (await tenant.get(f"/v1/jobs/{second}"))["queue_position"] == 1
    only = (await tenant.get("/v1/jobs", params={"status": "cancelled"}))["data"]
    assert only == []


async def test_a_fit_on_a_set_being_validated_waits_for_it(world: World, tenant: Person) -> None:
    await world.publish_base()
    dataset = await tenant.dataset()
    job = await tenant.queue_fit(dataset)
    assert (await tenant.get(f"/v1/jobs/{job}"))["status"] == "validating"
    await tenant.validated(dataset, b"a zip")
    assert (await tenant.get(f"/v1/jobs/{job}"))["status"] == "queued"


async def test_a_fit_waiting_for_a_set_that_is_rejected_fails(world: World, tenant: Person) -> None:
    await world.publish_base()
    dataset = await tenant.dataset()
    job = await tenant.queue_fit(dataset)
    await tenant.validated(dataset, None)
    found = await tenant.get(f"/v1/jobs/{job}")
    assert (found["status"], found["error"]["code"]) == ("failed", "dataset_rejected")
    body = {"type": "fit", "adapter": "avatars", "factor_set": "avatars", "dataset": dataset}
    answer = await tenant.http.post("/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "dataset_rejected")
    assert "1 fault" in answer.json()["detail"]


async def test_a_fit_sent_while_the_validation_ends_is_never_left_waiting(world: World, tenant: Person) -> None:
    await world.publish_base()
    for index in range(5):
        dataset = await tenant.dataset(bytes([index]), name=f"race {index}")
        job, _ = await asyncio.gather(tenant.queue_fit(dataset), tenant.validated(dataset, bytes([index])))
        assert (await tenant.get(f"/v1/jobs/{job}"))["status"] == "queued"


async def test_another_factor_set_than_the_labels_is_refused(world: World, tenant: Person) -> None:
    await world.publish_base()
    dataset = await tenant.ready_dataset()
    await tenant.post("/v1/factor_sets", {**FACTORS, "accept": {"labels_min": 5}})
    body = {"type": "fit", "adapter": "avatars", "factor_set": "avatars", "dataset": dataset}
    answer = await tenant.http.post("/v1/jobs", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["param"]) == (422, "factor_set_mismatch", "factor_set")
    assert "@1" in problem["detail"]
    assert "@2" in problem["detail"]
    assert (await tenant.http.post("/v1/jobs", json={**body, "factor_set": "avatars@1"})).status_code == 202


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"type": "magic"}, 422, "invalid_request"),
        ({"adapter": "a@b"}, 422, "invalid_request"),
        ({"adapter": "../x"}, 422, "invalid_request"),
        ({"adapter": "ada_" + "0" * 26}, 422, "invalid_adapter_name"),
        ({"factor_set": "nothing"}, 404, "unknown_factor_set"),
        ({"dataset": "nothing"}, 404, "unknown_dataset"),
        ({"base": "nothing"}, 404, "unknown_base"),
        ({"priority": 9}, 422, "invalid_request"),
    ],
)
async def test_bad_fits(world: World, tenant: Person, change: dict[str, object], status: int, code: str) -> None:
    await world.publish_base()
    dataset = await tenant.ready_dataset()
    body = {"type": "fit", "adapter": "avatars", "factor_set": "avatars", "dataset": dataset, **change}
    answer = await tenant.http.post("/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await tenant.get("/v1/jobs"))["data"] == []


async def test_cancelling(world: World, tenant: Person) -> None:
    waiting, running = await tenant.queue_two_fits()
    done = await tenant.post(f"/v1/jobs/{waiting}/cancel")
    assert done["status"] == "cancelled"
    assert (await tenant.post(f"/v1/jobs/{waiting}/cancel"))["status"] == "cancelled"
    job = next(job for job in await claim_all(world) if job.id == running)
    asked = await tenant.post(f"/v1/jobs/{running}/cancel")
    assert (asked["status"], asked["cancel_requested"]) == ("running", True)
    async with world.ports.database.platform_transaction() as session:
        assert await queue.beat(session, [Beat(job.id, job.attempt, "encoding", 0.5)], lease_seconds=9) == {
            job.id: "cancelled"
        }
        await jobs.close(session, job.id, status="succeeded")
    over = await tenant.http.post(f"/v1/jobs/{running}/cancel")
    assert (over.status_code, over.json()["code"]) == (409, "job_finished")


async def test_a_validation_is_not_cancelled(tenant: Person) -> None:
    await tenant.dataset()
    job = (await tenant.get("/v1/jobs", params={"type": "validate"}))["data"][0]["id"]
    answer = await tenant.http.post(f"/v1/jobs/{job}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "validation_not_cancellable")


async def fail(world: World, job_id: str) -> None:
    """Play a worker that finds a fault."""
    job = next(job for job in await claim_all(world) if job.id == job_id)
    async with world.ports.database.platform_transaction() as session:
        await queue.fence(session, job.id, job.attempt)
        await jobs.close(session, job.id, status="failed", error=JobError(code="too_few", message="3 rows, 10 needed"))


async def test_events_as_pages(world: World, tenant: Person) -> None:
    job, _ = await tenant.queue_two_fits()
    await fail(world, job)
    path = f"/v1/jobs/{job}/events"
    whole = await tenant.get(path)
    assert [event["type"] for event in whole["data"]] == ["created", "started", "failed"]
    assert whole["data"][2]["data"]["error"]["code"] == "too_few"
    first = await tenant.get(path, params={"limit": 2})
    assert first["data"] == whole["data"][:2]
    rest = await tenant.get(path, params={"limit": 2, "after": first["next_cursor"]})
    assert (rest["data"], rest["has_more"]) == (whole["data"][2:], False)
    assert (await tenant.http.get(path, params={"after": "x"})).status_code == 422


async def test_the_stream_ends_with_the_job_and_resumes_behind_the_last_event(world: World, tenant: Person) -> None:
    job, _ = await tenant.queue_two_fits()
    await fail(world, job)
    path = f"/v1/jobs/{job}/events"
    answer = await tenant.http.get(path, headers=SSE)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer.text)
    assert [event["event"] for event in events] == ["created", "started", "failed"]
    resumed = await tenant.http.get(path, headers={**SSE, "Last-Event-ID": events[0]["id"]})
    assert events_of(resumed.text) == events[1:]
    behind = await tenant.http.get(path, headers={**SSE, "Last-Event-ID": events[2]["id"]})
    assert events_of(behind.text) == []


async def test_the_stream_follows_a_job_that_is_still_running(world: World, tenant: Person) -> None:
    job, _ = await tenant.queue_two_fits()
    watching = asyncio.create_task(tenant.http.get(f"/v1/jobs/{job}/events", headers=SSE))
    await asyncio.sleep(0.6)
    assert not watching.done()
    await fail(world, job)
    events = events_of((await asyncio.wait_for(watching, 20)).text)
    named = [event["event"] for event in events if event["id"] is not None]
    assert named == ["created", "started", "failed"]
    assert {"status": "queued", "stage": None, "progress": 0.0} in [
        event["data"] for event in events if event["event"] == "progress"
    ]


async def test_odd_stream_requests(tenant: Person) -> None:
    job, _ = await tenant.queue_two_fits()
    path = f"/v1/jobs/{job}/events"
    bad = await tenant.http.get(path, headers={**SSE, "Last-Event-ID": "x"})
    assert (bad.status_code, bad.json()["code"]) == (400, "malformed_header")
    none = await tenant.http.get(path, headers={"Accept": "image/png"})
    assert (none.status_code, none.json()["code"]) == (406, "not_acceptable")
    missing: httpx.Response = await tenant.http.get("/v1/jobs/job_x/events", headers=SSE)
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_job")


PRETRAINING = {"type": "pretrain", "recipe": {"name": "sprites", "steps": 5}, "workers": 2}


async def test_an_operator_queues_reads_and_cancels_a_pretraining(world: World, tenant: Person) -> None:
    answer = await world.admin.post("/v1/jobs", json=PRETRAINING, headers={"Idempotency-Key": "one"})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["type"], job["status"], job["factor_set"], job["base"]) == ("pretrain", "queued", None, None)
    again = await world.admin.post("/v1/jobs", json=PRETRAINING, headers={"Idempotency-Key": "one"})
    assert again.json()["id"] == job["id"]
    assert (await world.admin.get("/v1/jobs")).json()["data"][0]["id"] == job["id"], "other tests' are there, too"
    assert (await tenant.get("/v1/jobs"))["data"] == []
    assert (await tenant.http.get(f"/v1/jobs/{job['id']}")).status_code == 404
    assert (await tenant.http.post(f"/v1/jobs/{job['id']}/cancel")).status_code == 404
    done = (await world.admin.post(f"/v1/jobs/{job['id']}/cancel")).json()
    assert done["status"] == "cancelled"
    events = (await world.admin.get(f"/v1/jobs/{job['id']}/events")).json()["data"]
    assert [event["type"] for event in events] == ["created", "cancelled"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"workers": 0}, "invalid_request"),
        ({"recipe": {"steps": 5}}, "invalid_recipe"),
        ({"recipe": {"name": "long", "notes": "x" * 70_000}}, "invalid_recipe"),
        ({"alias": "default"}, "invalid_request"),
    ],
)
async def test_bad_pretrainings(world: World, change: dict[str, object], code: str) -> None:
    answer = await world.admin.post("/v1/jobs", json={**PRETRAINING, **change})
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_tenant_may_not_pretrain_and_an_operator_may_not_fit(world: World, tenant: Person) -> None:
    refused = await tenant.http.post("/v1/jobs", json=PRETRAINING)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    fit = {"type": "fit", "adapter": "avatars", "factor_set": "avatars", "dataset": "spring"}
    refused = await world.admin.post("/v1/jobs", json=fit)
    assert (refused.status_code, refused.json()["code"]) == (403, "tenant_key_required")
