"""Refits and evaluations asked for: every reference resolved, told as fits are, and read where they are stored."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import update
from typer.testing import Result

from heddle_api.client import AsyncHeddleClient, HeddleClient
from heddle_infra.database import jobs
from heddle_infra.database.models import DatasetRow
from heddle_platform import keys
from heddle_platform.digest import sha256_hex
from heddle_platform.records import Job, JobError
from tests.api.control_world import FACTORS, Person, World, claim_all, finish_fit
from tests.api.live import Live
from tests.api.test_control_cli import shell

SMILES = {**FACTORS, "factors": FACTORS["factors"][1:]}  # what the world's sets have labels of
FACTOR = {
    "name": "smile",
    "labels": 40,
    "measure": "accuracy",
    "accuracy": 0.9,
    "accuracy_interval": [0.77, 0.96],
    "calibration_error": 0.04,
    "compared": {"before": 0.95, "after": 0.9, "noise": 0.11, "outcome": "equal"},
}
FOUND: dict[str, Any] = {
    "adapter": "avatars",
    "version": 1,
    "labels": 60,
    "seen": 20,
    "scored": 40,
    "accuracy": 0.9,
    "factors": [FACTOR],
    "compared": FACTOR["compared"],
    "not_scored": {},
    "better": [],
    "equal": ["smile"],
    "worse": [],
    "warnings": [{"code": "few_images", "detail": "40 images are few", "numbers": {"scored": 40}}],
}


async def leased(world: World, job_id: str) -> Job:
    return next(job for job in await claim_all(world) if job.id == job_id)


async def finish_evaluation(world: World, job: Job) -> bytes:
    """Play the worker that ends an evaluation."""
    place = {"adapter_id": job.spec["adapter_id"], "dataset": job.spec["dataset_id"]}
    data = json.dumps({**FOUND, **place, "factors": [{**FACTOR, "confusion": {"on": {"on": 36, "off": 4}}}]}).encode()
    sha256 = sha256_hex(data)
    world.objects.put(keys.evaluation(job.tenant, "5" * 64, "a" * 64, sha256), data)
    stored = {"url": f"/v1/jobs/{job.id}/evaluation", "sha256": sha256, "set": "5" * 64, "adapter": "a" * 64}
    async with world.ports.database.platform_transaction() as session:
        await jobs.close(session, job.id, status="succeeded", result={**FOUND, **place, "evaluation": stored})
    return data


async def ask(tenant: Person, body: dict[str, Any], path: str = "/v1/jobs") -> tuple[int, str, str | None]:
    answer = await tenant.http.post(path, json=body)
    return answer.status_code, answer.json().get("code", ""), answer.json().get("param")


async def test_an_evaluation_is_queued_with_every_reference_resolved_and_read_where_it_is_stored(
    world: World, tenant: Person
) -> None:
    await tenant.fitted(verdict="pass")
    await tenant.post("/v1/adapters/avatars/versions/1/approvals", {"decision": "approve"})
    other = await tenant.ready_dataset(b"autumn", name="autumn")
    body = {"type": "evaluate", "adapter": "avatars@production", "dataset": "autumn", "priority": 2}
    key = {"Idempotency-Key": "once"}
    made = (await tenant.http.post("/v1/jobs", json=body, headers=key)).json()
    again = await tenant.http.post("/v1/jobs", json=body, headers=key)
    assert again.json()["id"] == made["id"]
    assert (made["type"], made["status"], made["adapter"], made["version"]) == ("evaluate", "queued", "avatars", 1)
    assert (made["dataset"], made["priority"], made["trigger"]) == (other, 2, None)
    assert made["queue_position"] is not None
    adapter = await tenant.get("/v1/adapters/avatars")
    job = await leased(world, made["id"])
    assert (job.spec["adapter_id"], job.spec["version"]) == (adapter["id"], 1)
    path = f"/v1/jobs/{job.id}/evaluation"
    assert (await tenant.http.get(path)).json()["code"] == "unknown_evaluation"
    data = await finish_evaluation(world, job)
    told = await tenant.get(f"/v1/jobs/{job.id}")
    assert (told["status"], told["result"]["equal"], told["result"]["evaluation"]["url"]) == (
        "succeeded",
        ["smile"],
        path,
    )
    answer = await tenant.http.get(path)
    assert (answer.content, answer.headers["etag"]) == (data, f'"{sha256_hex(data)}"')
    assert (await tenant.get("/v1/jobs"))["data"][0]["id"] == job.id
    assert [one["id"] for one in (await tenant.get("/v1/jobs", params={"type": "evaluate"}))["data"]] == [job.id]
    assert (await tenant.get("/v1/adapters/avatars"))["latest_version"] == 1


async def test_a_stored_evaluation_that_was_changed_is_not_told(world: World, tenant: Person) -> None:
    await tenant.fitted()
    made = await tenant.post("/v1/jobs", {"type": "evaluate", "adapter": "avatars@1", "dataset": "for-avatars"})
    job = await leased(world, made["id"])
    data = await finish_evaluation(world, job)
    key = keys.evaluation(job.tenant, "5" * 64, "a" * 64, sha256_hex(data))
    world.objects.put(key, data.replace(b"0.9", b"1.0"))
    answer = await tenant.http.get(f"/v1/jobs/{job.id}/evaluation")
    assert (answer.status_code, answer.json()["code"], b"confusion" in answer.content) == (500, "internal_error", False)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"adapter": "nothing@1"}, 404, "unknown_adapter"),
        ({"adapter": "avatars@7"}, 404, "unknown_version"),
        ({"adapter": "avatars@canary"}, 404, "unknown_alias"),
        ({"adapter": "avatars@999999999999"}, 404, "unknown_alias"),
        ({"dataset": "nothing"}, 404, "unknown_dataset"),
        ({"priority": 6}, 422, "invalid_request"),
        ({"base": "default"}, 422, "invalid_request"),
    ],
)
async def test_bad_evaluations(tenant: Person, change: dict[str, Any], status: int, code: str) -> None:
    await tenant.fitted()
    body = {"type": "evaluate", "adapter": "avatars@1", "dataset": "for-avatars", **change}
    for path in ("/v1/jobs", "/v1/jobs/estimate"):
        assert (await ask(tenant, body, path))[:2] == (status, code)


async def test_labels_that_a_version_cannot_read_are_refused_by_column(world: World, tenant: Person) -> None:
    await tenant.fitted()
    async with world.ports.database.platform_transaction() as session:
        report = {"levels": {"smile": {"off": 2, "on": 1}, "hat": {"off": 0, "on": 3}, "glasses": {"oval": 1}}}
        await session.execute(update(DatasetRow).where(DatasetRow.tenant_id == tenant.id).values(report=report))
    answer = await tenant.http.post(
        "/v1/jobs", json={"type": "evaluate", "adapter": "avatars@1", "dataset": "for-avatars"}
    )
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["param"]) == (422, "labels_do_not_fit", "dataset")
    assert [(fault["column"], fault["code"]) for fault in problem["errors"]] == [
        ("hat", "unknown_factor"),
        ("glasses", "unknown_level"),
    ]


async def test_a_refit_is_of_what_is_served_with_its_newest_factors_and_says_why(world: World, tenant: Person) -> None:
    await tenant.fitted(verdict="pass")
    await tenant.post("/v1/adapters/avatars/versions/1/approvals", {"decision": "approve"})
    second = await tenant.fitted()
    assert second == 2  # newer, and not served
    fitted = await tenant.get("/v1/adapters/avatars/versions/1")
    body = {"type": "refit", "adapter": "avatars", "trigger": "drift"}
    assert await ask(tenant, body) == (422, "labels_missing", "dataset")  # nobody labelled glasses
    newest = await tenant.post("/v1/factor_sets", SMILES)
    estimate = await tenant.post("/v1/jobs/estimate", body)
    assert (estimate["type"], estimate["rows"]) == ("refit", 3)
    made = await tenant.post("/v1/jobs", body)
    assert (made["type"], made["status"], made["version"], made["trigger"]) == ("refit", "queued", 1, "drift")
    assert (made["dataset"], made["base"]["id"]) == (fitted["dataset"], fitted["base"]["id"])
    assert made["factor_set"] == {"id": newest["id"], "version": 2}
    job = await leased(world, made["id"])
    assert job.spec["trigger"] == "drift"
    assert await finish_fit(world, job, "needs_approval") == 3
    assert (await tenant.get(f"/v1/jobs/{job.id}"))["status"] == "awaiting_approval"
    [event] = [one for one in (await tenant.get("/v1/audit_events"))["data"] if job.id in one["target"]]
    assert event["target"] == f"{job.id} (drift)"


async def test_a_refit_takes_another_set_factors_and_base_where_they_are_named(world: World, tenant: Person) -> None:
    await tenant.fitted()
    await tenant.post("/v1/factor_sets", SMILES)
    other = await tenant.ready_dataset(b"summer", name="summer")
    body = {"type": "refit", "adapter": "avatars", "dataset": "summer", "factor_set": "avatars@2", "base": "default"}
    made = await tenant.post("/v1/jobs", body)
    assert (made["dataset"], made["factor_set"]["version"], made["trigger"]) == (other, 2, "by hand")
    cancelled = await tenant.post(f"/v1/jobs/{made['id']}/cancel")
    assert cancelled["status"] == "cancelled"
    for change, status, code in (
        ({"adapter": "nothing"}, 404, "unknown_adapter"),
        ({"dataset": "nothing"}, 404, "unknown_dataset"),
        ({"factor_set": "nothing"}, 404, "unknown_factor_set"),
        ({"factor_set": "avatars@x"}, 422, "invalid_reference"),
        ({"base": "nothing"}, 404, "unknown_base"),
        ({"trigger": "a\nb"}, 422, "invalid_request"),
    ):
        for path in ("/v1/jobs", "/v1/jobs/estimate"):
            assert (await ask(tenant, {**body, **change}, path))[:2] == (status, code), change


async def test_they_wait_for_their_set_and_fail_with_it(world: World, tenant: Person) -> None:
    await tenant.fitted()
    await tenant.post("/v1/factor_sets", SMILES)
    dataset = await tenant.dataset(b"later", name="later")
    refit = await tenant.post("/v1/jobs", {"type": "refit", "adapter": "avatars", "dataset": "later"})
    scored = await tenant.post("/v1/jobs", {"type": "evaluate", "adapter": "avatars@1", "dataset": "later"})
    assert (refit["status"], scored["status"]) == ("validating", "validating")
    await tenant.validated(dataset, None)
    for job in (refit, scored):
        told = await tenant.get(f"/v1/jobs/{job['id']}")
        assert (told["status"], told["error"]["code"]) == ("failed", "dataset_rejected")
    assert await ask(tenant, {"type": "refit", "adapter": "avatars", "dataset": dataset}) == (
        409,
        "dataset_rejected",
        "dataset",
    )


async def test_one_that_failed_for_the_platforms_reasons_is_sent_again(world: World, tenant: Person) -> None:
    await tenant.fitted()
    await tenant.post("/v1/factor_sets", SMILES)
    for body in (
        {"type": "evaluate", "adapter": "avatars@1", "dataset": "for-avatars"},
        {"type": "refit", "adapter": "avatars"},
    ):
        job = await leased(world, (await tenant.post("/v1/jobs", body))["id"])
        async with world.ports.database.platform_transaction() as session:
            await jobs.close(session, job.id, status="failed", error=JobError(code="attempts_exhausted", message="no"))
            await jobs.bury(session, job.id)
        [dead] = (await tenant.get("/v1/jobs", params={"dead_letter": True}))["data"]
        assert (dead["id"], dead["attempts"]) == (job.id, None)
        again = await tenant.post(f"/v1/jobs/{job.id}/retry")
        assert (again["status"], again["dead_letter"], again["error"]) == ("queued", False, None)


async def test_they_take_a_place_in_the_queue_as_fits_do(world: World, tenant: Person) -> None:
    await tenant.fitted()
    path = f"/v1/admin/tenants/{tenant.id}/quota"
    operator = world.client(world.admin_key)
    etag = (await operator.get(path)).headers["etag"]
    answer = await operator.put(path, json={"queued_jobs": 1}, headers={"If-Match": etag})
    assert answer.status_code == 200, answer.text
    body = {"type": "evaluate", "adapter": "avatars@1", "dataset": "for-avatars"}
    await tenant.post("/v1/jobs", body)
    assert (await ask(tenant, body))[1] == "quota_exceeded"
    assert (await ask(tenant, {"type": "refit", "adapter": "avatars"}))[1] == "quota_exceeded"


async def test_an_operators_key_queues_neither(world: World) -> None:
    operator = world.client(world.admin_key)
    for body in ({"type": "refit", "adapter": "avatars"}, {"type": "evaluate", "adapter": "a", "dataset": "b"}):
        answer = await operator.post("/v1/jobs", json=body)
        assert answer.status_code == 403, answer.text


async def played(live: Live, person: Person, *arguments: str) -> Result:
    """Run a command, and play the worker of the evaluation that it waits for."""
    running = asyncio.create_task(shell(live, *arguments, key=person.key))
    for _ in range(600):
        for job in await claim_all(live.world):
            if job.type == "evaluate":
                await finish_evaluation(live.world, job)
        if running.done():
            break
        await asyncio.sleep(0.05)
    return await running


async def test_from_the_command_line(live: Live) -> None:
    person = await live.world.tenant()
    await person.fitted()
    await person.post("/v1/factor_sets", SMILES)
    shown = await played(live, person, "evaluate", "avatars@1", "--data", "for-avatars")
    assert shown.exit_code == 0, shown.output
    for said in ("smile", "0.77 to 0.96", "equal", "avatars@1 reads 40 images", "40 images are few", "/evaluation"):
        assert said in shown.stdout
    told = await played(live, person, "evaluate", "avatars@1", "--data", "for-avatars", "--json")
    assert json.loads(told.stdout)["result"]["scored"] == 40
    estimate = await shell(live, "evaluate", "avatars", "--data", "for-avatars", "--estimate", key=person.key)
    assert "It would be charged" in estimate.stdout, estimate.output
    queued = await shell(live, "refit", "avatars", "--trigger", "feedback", "--no-wait", "--json", key=person.key)
    assert json.loads(queued.stdout)["trigger"] == "feedback", queued.output
    listed = await shell(live, "jobs", "list", "--type", "refit", key=person.key)
    assert json.loads(queued.stdout)["id"] in listed.stdout
    missing = await shell(live, "refit", "nothing", key=person.key)
    assert (missing.exit_code, "(unknown_adapter)" in missing.stderr) == (1, True)


async def test_from_the_client_on_a_loop_and_off_it(live: Live) -> None:
    person = await live.world.tenant()
    await person.fitted()
    await person.post("/v1/factor_sets", SMILES)
    async with AsyncHeddleClient(live.url, None, person.key) as heddle:
        job = await heddle.evaluate("avatars@1", dataset="for-avatars")
        await finish_evaluation(live.world, await leased(live.world, job.id))
        assert (await heddle.wait_for_job(job.id)).status == "succeeded"
        found = await heddle.evaluation(job.id)
        assert (found.adapter, found.scored, found.equal) == ("avatars", 40, ("smile",))
        assert found.factors[0]["confusion"] == {"on": {"on": 36, "off": 4}}
        assert (await heddle.estimate_refit("avatars")).rows == 3
    with HeddleClient(live.url, None, person.key) as plain:
        refit = await asyncio.to_thread(plain.refit, "avatars", trigger="feedback")
        assert (refit.type, refit.document()["trigger"]) == ("refit", "feedback")
        assert (await asyncio.to_thread(plain.estimate_evaluation, "avatars", dataset="for-avatars")).type == "evaluate"
        [listed] = await asyncio.to_thread(plain.jobs, job_type="refit")
        assert listed.id == refit.id
