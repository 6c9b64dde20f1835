"""Sweeps asked for: plans judged before they are queued, and what was found read as a page and as data."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import delete

from heddle_api.client import AsyncHeddleClient
from heddle_infra.database import jobs
from heddle_infra.database.models import JobRow
from heddle_platform import keys
from heddle_platform.digest import sha256_hex
from heddle_platform.records import Job, JobError
from tests.api.control_world import Person, World, claim_all
from tests.api.live import Live
from tests.api.test_bases_cli import operate

BETA = "terms.kl.schedule.weight"
RECIPE: dict[str, Any] = {
    "name": "sprites",
    "corpus": {"images": {"dsprites": 400}, "held_out": 200},
    "terms": [{"kind": "reconstruction"}, {"kind": "kl"}],
    "steps": 100,
}
PLAN: dict[str, Any] = {
    "name": "beta",
    "recipe": RECIPE,
    "space": {BETA: [1, 4]},
    "seeds": [0, 1],
    "steps": 100,
    "criterion": {"score": "mig", "labels": 200},
}
REPORT = {"html": b"<!doctype html><title>Sweep</title>", "json": b'{"name":"beta"}'}


def sweep(**changes: Any) -> dict[str, Any]:
    return {"type": "sweep", "plan": {**PLAN, **changes}}


async def finish_sweep(world: World, job: Job, *, chosen: bool = True) -> None:
    """Play the worker that ends a sweep."""
    digests = {kind: sha256_hex(data) for kind, data in REPORT.items()}
    for kind, data in REPORT.items():
        world.objects.put(keys.sweep_report(job.id, digests[kind], kind), data)
    found = {"chosen": {BETA: "4"}, "recipe": RECIPE, "criterion": {"score": "mig", "value": 0.2}} if chosen else {}
    why = "beta 4 was chosen" if chosen else "No setting can be chosen"
    result = {**found, "why": why, "report": {"url": f"/v1/jobs/{job.id}/report", "sha256": digests}}
    error = None if chosen else JobError(code="no_setting_chosen", message=why)
    status: Any = "succeeded" if chosen else "failed"
    async with world.ports.database.platform_transaction() as session:
        await jobs.close(session, job.id, status=status, result=result, error=error)


@pytest.fixture(autouse=True)
async def _none_left(world: World) -> AsyncIterator[None]:
    """Operators' jobs belong to nobody: another test would see these, and their reports lie in this world's store."""
    yield
    async with world.ports.database.platform_transaction() as session:
        await session.execute(delete(JobRow).where(JobRow.type == "sweep"))


async def sweeps_of(world: World) -> list[Job]:
    """Lease the sweeps that wait; others' jobs may wait beside them."""
    return [job for job in await claim_all(world) if job.type == "sweep"]


async def queued(world: World, **changes: Any) -> Job:
    """Queue a sweep and lease it, as a dispatcher would."""
    answer = await world.admin.post("/v1/jobs", json=sweep(**changes))
    assert answer.status_code == 202, answer.text
    return next(job for job in await claim_all(world) if job.id == answer.json()["id"])


async def test_an_operator_queues_a_sweep_and_reads_what_it_found(world: World, tenant: Person) -> None:
    made = (await world.admin.post("/v1/jobs", json=sweep(), headers={"Idempotency-Key": "one"})).json()
    assert (made["type"], made["status"], made["adapter"], made["base"]) == ("sweep", "queued", None, None)
    again = await world.admin.post("/v1/jobs", json=sweep(), headers={"Idempotency-Key": "one"})
    assert again.json()["id"] == made["id"]
    job = next(job for job in await claim_all(world) if job.id == made["id"])
    assert (job.spec, job.tenant_id) == ({"plan": PLAN}, None)
    path = f"/v1/jobs/{job.id}/report"
    early = await world.admin.get(path)
    assert (early.status_code, early.json()["code"]) == (404, "unknown_report")
    await finish_sweep(world, job)
    listed = (await world.admin.get("/v1/jobs", params={"type": "sweep"})).json()["data"]
    assert listed[0]["result"]["report"]["url"] == path
    page = await world.admin.get(path)
    assert (page.content, page.headers["content-type"]) == (REPORT["html"], "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    data = await world.admin.get(path, headers={"Accept": "application/json"})
    assert (data.json(), data.headers["vary"]) == ({"name": "beta"}, "Accept")
    assert (await world.admin.get(path, headers={"Accept": "image/png"})).status_code == 406
    for wall in (path, f"/v1/jobs/{job.id}", f"/v1/jobs/{job.id}/events"):
        refused = await tenant.http.get(wall)
        assert (refused.status_code, refused.json()["code"]) == (404, "unknown_job")
    assert (await tenant.http.post(f"/v1/jobs/{job.id}/cancel")).status_code == 404
    assert (await world.client(None).get(path)).status_code == 401


async def test_a_tenant_may_not_sweep(tenant: Person) -> None:
    for path in ("/v1/jobs", "/v1/jobs/estimate"):
        refused = await tenant.http.post(path, json=sweep())
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")


@pytest.mark.usefixtures("tenant")
async def test_a_sweep_that_chose_nothing_has_a_report_and_is_not_sent_again(world: World) -> None:
    job = await queued(world)
    await finish_sweep(world, job, chosen=False)
    assert (await world.admin.get(f"/v1/jobs/{job.id}/report")).content == REPORT["html"]
    again = await world.admin.post(f"/v1/jobs/{job.id}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "not_retryable")


async def test_a_damaged_report_is_not_shown(world: World) -> None:
    job = await queued(world)
    await finish_sweep(world, job)
    world.objects.put(keys.sweep_report(job.id, sha256_hex(REPORT["html"]), "html"), b"something else")
    assert (await world.admin.get(f"/v1/jobs/{job.id}/report")).status_code == 500


async def test_another_job_has_no_report(world: World) -> None:
    body = {"type": "pretrain", "recipe": RECIPE}
    made = (await world.admin.post("/v1/jobs", json=body)).json()
    answer = await world.admin.get(f"/v1/jobs/{made['id']}/report")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_report")


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"recipe": {**RECIPE, "magic": 1}}, "invalid_recipe", "plan.recipe.magic"),
        ({"recipe": {**RECIPE, "network": {"latens": 4}}}, "invalid_recipe", "plan.recipe.network.latens"),
        ({"recipe": {**RECIPE, "network": {"latents": 0}}}, "invalid_recipe", "plan.recipe.network.latents"),
        ({"recipe": {"name": "sprites", "steps": 5}}, "invalid_recipe", "plan.recipe.corpus"),
        ({"recipe": {**RECIPE, "corpus": {"held_out": 9}}}, "invalid_recipe", "plan.recipe.corpus"),
        ({"recipe": {**RECIPE, "corpus": {"images": {"cats": 9}}}}, "unknown_corpus", "plan.recipe.corpus.images.cats"),
        (
            {"recipe": {**RECIPE, "corpus": {"sources": {"cats": {"stored": "cats"}}}}},
            "unknown_corpus",
            "plan.recipe.corpus.sources.cats.stored",
        ),
        ({"recipe": "../default.yaml"}, "invalid_sweep", "plan.recipe"),
        ({"space": {}}, "invalid_sweep", "plan.space"),
        ({"space": {"network.latens": [4]}}, "invalid_sweep", "plan.space.network.latens"),
        ({"space": {"seed": [1, 2]}}, "invalid_sweep", "plan.space.seed"),
        ({"space": {"optimiser.batch": [4, 0]}}, "invalid_recipe", "plan.recipe.optimiser.batch"),
        ({"space": {"optimiser.batch": list(range(1, 302))}}, "too_many_trainings", "plan.space"),
        ({"space": {f"optimiser.{n}": list(range(1, 99)) for n in ("batch", "warmup_steps", "clip_norm")}}, None, None),
        ({"trials": 251}, "too_many_trainings", "plan.trials"),
        ({"seeds": [1, 1]}, "invalid_sweep", "plan"),
        ({"criterion": {"score": "mig", "labels": 900}}, "invalid_sweep", "plan.criterion.labels"),
        ({"criterion": {"score": "beauty", "labels": 200}}, "invalid_sweep", "plan.criterion.score"),
        ({"steps": 0}, "invalid_sweep", "plan.steps"),
        ({"speed": 3}, "invalid_sweep", "plan.speed"),
        ({"notes": "x" * 70_000}, "plan_too_long", "plan"),
    ],
)
async def test_a_plan_that_cannot_be_run_is_refused_by_its_field(
    world: World, change: dict[str, Any], code: str | None, param: str | None
) -> None:
    before = (await world.admin.get("/v1/jobs")).json()["data"]
    for path in ("/v1/jobs", "/v1/jobs/estimate"):
        answer = await world.admin.post(path, json=sweep(**change))
        problem = answer.json()
        expected = (422, code or "too_many_trainings", param or "plan.space")
        assert (answer.status_code, problem["code"], problem["param"]) == expected, problem
    assert (await world.admin.get("/v1/jobs")).json()["data"] == before


async def test_from_the_command_line(live: Live, tmp_path: Path) -> None:
    file, out = tmp_path / "sweep.yaml", tmp_path / "out"
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(RECIPE))
    file.write_text(yaml.safe_dump({**PLAN, "recipe": "base.yaml"}))
    told = await operate(live, "sweep", str(file), "--cluster", "--no-wait", "--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["type"] == "sweep"
    running = asyncio.create_task(operate(live, "sweep", str(file), "--cluster", "--out", str(out)))
    while not running.done():
        for job in await sweeps_of(live.world):
            assert job.spec["plan"]["recipe"] == RECIPE
            await finish_sweep(live.world, job)
        await asyncio.sleep(0.05)
    shown = await running
    assert (shown.exit_code, shown.stdout) == (0, "beta 4 was chosen\n"), shown.output
    assert (out / "report.html").read_bytes() == REPORT["html"]
    assert json.loads((out / "sweep.json").read_text()) == {"name": "beta"}
    assert yaml.safe_load((out / "best.yaml").read_text()) == RECIPE


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("a: [", ["--cluster"], "is not YAML"),
        ("- a", ["--cluster"], "holds no plan"),
        ("recipe: nowhere.yaml", ["--cluster"], "nowhere.yaml cannot be read"),
        ("name: beta", ["--cluster"], "(invalid_sweep)"),
        ("name: beta", ["--cluster", "--anew"], "--anew is for a folder"),
        ("name: beta", [], "--out FOLDER"),
    ],
)
async def test_what_is_no_plan_is_one_sentence(
    live: Live, tmp_path: Path, text: str, arguments: list[str], said: str
) -> None:
    (tmp_path / "sweep.yaml").write_text(text)
    refused = await operate(live, "sweep", str(tmp_path / "sweep.yaml"), *arguments)
    assert (refused.exit_code, said in refused.stderr) == (1, True), refused.output


async def test_from_the_client(live: Live) -> None:
    async with AsyncHeddleClient(live.url, None, live.world.admin_key) as heddle:
        job = await heddle.sweep(PLAN)
        for leased in await sweeps_of(live.world):
            await finish_sweep(live.world, leased)
        assert await heddle.sweep_report(job.id) == {"name": "beta"}
        assert await heddle.sweep_report_page(job.id) == REPORT["html"].decode()
