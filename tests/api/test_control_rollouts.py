"""Rollouts over HTTP: started and decided by operators only, aliases moved and moved back exactly, the report."""

import asyncio
import json
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from heddle_api.cli import rollouts as commands
from heddle_infra.database import (
    adapters,
    erasures,
    jobs,
    rollout_items,
    rollouts,
    tenants,
)
from tests.api.control_world import Person, World, claim_all
from tests.api.live import Live
from tests.api.rollout_play import (
    begin,
    claim,
    close_open,
    decide,
    in_production,
    outcome_of,
    production,
    work,
)


@pytest.fixture(autouse=True)
async def none_open(postgres_url: str) -> None:
    await close_open(postgres_url)


async def test_canary_then_all_then_back_exactly(world: World, tenant: Person, other: Person) -> None:
    third = await world.tenant("third")
    people = [tenant, other, third]
    for person in people:
        await in_production(person)
    await in_production(tenant, "second")
    before = [await production(person) for person in people]
    shown = await begin(world, people, canary_share=0.4)
    assert (shown["status"], shown["counts"]["adapters"]) == ("fitting", 0)
    again = await world.admin.post(f"/v1/bases/{shown['base']['id']}/rollout", json={})
    assert (again.status_code, again.json()["code"]) == (409, "rollout_under_way")
    await work(world, shown, failing=third.id)
    read = (await world.admin.get(f"/v1/rollouts/{shown['id']}")).json()
    assert (read["status"], read["progress"]) == ("canary", 1.0)
    counts = read["counts"]
    assert (counts["adapters"], counts["tenants"], counts["better"], counts["worse"]) == (4, 3, 3, 1)
    assert counts["moved"] in (1, 2)  # one tenant of two, who may be the one with two adapters
    done = await decide(world, shown, "continue")
    assert (done["status"], done["counts"]["moved"]) == ("complete", 3)
    assert (await decide(world, shown, "continue"))["status"] == "complete"
    moved = [await production(person) for person in people]
    assert [alias["version"] for alias in moved] == [2, 2, 1]
    assert (moved[0]["previous_version"], moved[2]) == (1, before[2])
    await tenant.post("/v1/adapters/second/rollback")
    back = await decide(world, shown, "rollback")
    assert (back["status"], back["aliases_kept"]) == ("rolled_back", 1)
    after = [await production(person) for person in people]
    for was, now in zip(before, after, strict=True):
        assert (now["version"], now["previous_version"]) == (was["version"], was["previous_version"])
    assert (await production(tenant, "second"))["version"] == 1
    refused = await world.admin.post(f"/v1/rollouts/{shown['id']}/continue")
    assert (refused.status_code, refused.json()["code"]) == (409, "rollout_not_in_canary")


async def test_what_did_not_pass_waits_for_its_own_person(world: World, tenant: Person) -> None:
    await in_production(tenant)
    shown = await begin(world, [tenant])
    await work(world, shown, failing=tenant.id)
    assert (await decide(world, shown, "continue"))["counts"]["moved"] == 0
    version = await tenant.get("/v1/adapters/avatars/versions/2")
    assert (version["status"], version["replaces"]) == ("awaiting_approval", 1)
    await tenant.post("/v1/adapters/avatars/versions/2/approvals", {"decision": "approve"})
    assert (await production(tenant))["version"] == 2
    assert (await decide(world, shown, "rollback"))["status"] == "rolled_back"
    assert (await production(tenant))["version"] == 2  # it was moved by its tenant, not by the rollout


async def test_an_approval_is_carried_over_in_the_operators_name(world: World, tenant: Person) -> None:
    await in_production(tenant)
    shown = await begin(world, [tenant])
    job, rollout = await claim(world, shown)
    async with world.ports.database.platform_transaction() as session:
        [material] = await rollout_items.begin(session, rollout.id, await rollout_items.open_items(session, rollout.id))
        carried = outcome_of(material, rollout, passed=True, carried=True)
        assert await rollout_items.record(session, job.id, rollout, material, carried) == "recorded"
        found = await adapters.resolve(session, tenant.id, "avatars")
        assert (await adapters.version(session, tenant.id, found.id, 2)).status == "approved"


async def test_an_erasure_meanwhile_voids_the_outcome(world: World, tenant: Person) -> None:
    await in_production(tenant)
    shown = await begin(world, [tenant])
    job, rollout = await claim(world, shown)
    async with world.ports.database.platform_transaction() as session:
        [item] = await rollout_items.open_items(session, rollout.id)
        [material] = await rollout_items.begin(session, rollout.id, [item])
    async with world.ports.database.platform_transaction() as session:
        erasure = await erasures.create(session, tenant.id, {"images": [], "key_id": "key_test"})
    await claim_all(world)
    done = outcome_of(material, rollout, passed=True)
    async with world.ports.database.platform_transaction() as session:
        assert await rollout_items.record(session, job.id, rollout, material, done) == "void"
    async with world.ports.database.platform_transaction() as session:
        await tenants.raise_epoch(session, tenant.id)
        await jobs.close(session, erasure.id, status="succeeded")
    async with world.ports.database.platform_transaction() as session:
        assert await rollout_items.record(session, job.id, rollout, material, done) == "void"
        [again] = await rollout_items.begin(session, rollout.id, [item])
        assert await rollout_items.record(session, job.id, rollout, again, done) == "recorded"


async def test_cancelling_stops_it_whoever_cancels(world: World, tenant: Person) -> None:
    shown = await begin(world, [tenant])
    assert (await decide(world, shown, "cancel"))["status"] == "cancelled"
    assert (await decide(world, shown, "cancel"))["status"] == "cancelled"
    refused = await world.admin.post(f"/v1/rollouts/{shown['id']}/rollback")
    assert (refused.status_code, refused.json()["code"]) == (409, "rollout_moved_nothing")
    shown = await begin(world, [tenant])
    await world.admin.post(f"/v1/jobs/{shown['job']}/cancel")
    assert (await world.admin.get(f"/v1/rollouts/{shown['id']}")).json()["status"] == "cancelled"


async def test_what_keeps_killing_its_worker_is_given_up(world: World, tenant: Person) -> None:
    await in_production(tenant)
    shown = await begin(world, [tenant])
    _, rollout = await claim(world, shown)
    async with world.ports.database.platform_transaction() as session:
        for _ in range(rollout_items.MAX_ATTEMPTS):
            [item] = await rollout_items.open_items(session, rollout.id)
            await rollout_items.begin(session, rollout.id, [item])
        assert await rollout_items.open_items(session, rollout.id) == []
        [given_up] = await rollouts.items(session, rollout.id)
    assert given_up.outcome == "failed"
    assert "started 5 times" in given_up.reasons[0]


async def test_only_operators_may(world: World, tenant: Person) -> None:
    base = await world.publish_base()
    for method, path in (
        ("POST", f"/v1/bases/{base}/rollout"),
        ("GET", "/v1/rollouts"),
        ("GET", "/v1/rollouts/rol_x"),
        ("GET", "/v1/rollouts/rol_x/report"),
        ("POST", "/v1/rollouts/rol_x/continue"),
        ("POST", "/v1/rollouts/rol_x/rollback"),
        ("POST", "/v1/rollouts/rol_x/cancel"),
    ):
        answer = await tenant.http.request(method, path)
        assert answer.status_code == 403, (method, path, answer.text)
        missing = await world.admin.request(method, path)
        if "rol_x" in path:
            assert (missing.status_code, missing.json()["code"]) == (404, "unknown_rollout")


@pytest.mark.parametrize(
    "body",
    [{"canary_share": 0}, {"canary_share": 1.01}, {"max_wait_seconds": 0}, {"tenants": []}, {"unknown": 1}],
)
async def test_nonsense_is_refused(world: World, body: dict[str, Any]) -> None:
    answer = await world.admin.post("/v1/bases/default/rollout", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_unknown_bases_and_tenants_are_told(world: World) -> None:
    base = await world.publish_base()
    unknown = await world.admin.post("/v1/bases/nowhere/rollout", json={})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_base")
    nobody = await world.admin.post(f"/v1/bases/{base}/rollout", json={"tenants": ["ten_nobody"]})
    assert (nobody.status_code, nobody.json()["code"]) == (404, "unknown_tenant")


async def test_the_report_is_a_page_that_runs_nothing(world: World, tenant: Person) -> None:
    await in_production(tenant)
    shown = await begin(world, [tenant])
    await work(world, shown)
    path = f"/v1/rollouts/{shown['id']}/report"
    document = (await world.admin.get(path)).json()
    [one] = document["adapters"]
    assert (one["outcome"], one["tenant"], one["to_version"], one["moved"]) == ("better", tenant.id, 2, True)
    assert one["numbers"]["differences"][1]["interval"] == [0.02, 0.08]
    page = await world.admin.get(path, headers={"Accept": "text/html"})
    assert page.headers["content-security-policy"].endswith("sandbox")
    assert "<script" not in page.text
    assert "http" not in page.text.replace("http-equiv", "")
    assert "&lt;script&gt;" in page.text
    assert page.text.count("<svg") >= 2
    assert "+0.050" in page.text
    await decide(world, shown, "rollback")


async def test_the_command_line_walks_the_whole_way(live: Live, tmp_path: Any) -> None:
    world = live.world
    person = await world.tenant("acme")
    await in_production(person)
    base = await world.publish_base(name="newer", alias="newer")
    app = typer.Typer()
    app.add_typer(commands.app, name="rollout")

    async def shell(*arguments: str) -> str:
        environment = {"HEDDLE_CONTROL_URL": live.url, "HEDDLE_ADMIN_KEY": world.admin_key, "COLUMNS": "200"}
        done = await asyncio.to_thread(lambda: CliRunner().invoke(app, ["rollout", *arguments], env=environment))
        assert done.exit_code == 0, done.output
        return done.stdout

    started = json.loads(await shell("start", base, "--canary", "0.5", "--tenant", person.id, "--no-wait", "--json"))
    await work(world, started)
    assert "heddle base rollout continue" in await shell("show", started["id"])
    assert "complete" in await shell("continue", started["id"])
    assert started["id"] in await shell("list")
    await shell("report", started["id"], "--out", str(tmp_path / "report.html"))
    assert b"Rollout of newer" in (tmp_path / "report.html").read_bytes()
    await shell("report", started["id"], "--out", str(tmp_path / "report.json"))
    assert json.loads((tmp_path / "report.json").read_text())["rollout"]["id"] == started["id"]
    assert "rolled back" in await shell("rollback", started["id"])
