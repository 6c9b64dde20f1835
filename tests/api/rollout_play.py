"""Rollouts without Ray, for tests of the control plane: adapters in production, and the dispatcher's part played."""

from typing import Any

from pydantic import SecretStr
from sqlalchemy import text

from heddle_infra.database import queue, rollout_items, rollout_moves, rollouts
from heddle_infra.database.engine import Database
from heddle_infra.database.rollout_items import ItemMaterial, ItemOutcome
from heddle_infra.database.versions import NewVersion
from heddle_platform.digest import json_digest
from heddle_platform.records import Job
from heddle_platform.rollout_records import Rollout
from heddle_platform.settings import DatabaseSettings
from tests.api.control_world import Person, World, claim_all

HOSTILE = "</title><script>alert(1)</script>"
DIFFERENCE: dict[str, Any] = {
    "factor": None,
    "measure": "mean",
    "before": 0.9,
    "after": 0.95,
    "difference": 0.05,
    "interval": [0.02, 0.08],
    "rows": 300,
    "outcome": "better",
}


async def close_open(postgres_url: str) -> None:
    """The database is shared, and one open rollout keeps another from starting."""
    database = Database(DatabaseSettings(database_url=SecretStr(postgres_url)))
    async with database.platform_transaction() as session:
        await session.execute(text("update rollouts set status = 'cancelled' where status in ('fitting', 'canary')"))
    await database.close()


async def in_production(person: Person, adapter: str = "avatars") -> int:
    number = await person.fitted(adapter)
    await person.post(f"/v1/adapters/{adapter}/versions/{number}/approvals", {"decision": "approve"})
    return number


async def production(person: Person, adapter: str = "avatars") -> dict[str, Any]:
    return dict(await person.get(f"/v1/adapters/{adapter}/aliases/production"))


async def begin(world: World, people: list[Person], **options: Any) -> Any:
    base = await world.publish_base(name="newer", alias="newer")
    body = {"tenants": [person.id for person in people], **options}
    answer = await world.admin.post(f"/v1/bases/{base}/rollout", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/rollouts/{answer.json()['id']}"
    return answer.json()


async def claim(world: World, shown: Any) -> tuple[Job, Rollout]:
    job = next(job for job in await claim_all(world) if job.id == shown["job"])
    async with world.ports.database.platform_transaction() as session:
        rollout = await rollouts.get(session, shown["id"])
        await rollout_items.plan(session, rollout)
    return job, rollout


def outcome_of(material: ItemMaterial, rollout: Rollout, *, passed: bool, carried: bool = False) -> ItemOutcome:
    version = material.version
    new = NewVersion(
        adapter_name=material.item.adapter_name,
        digest=json_digest([rollout.id, version.adapter_id, version.version]),
        base_id=rollout.base_id,
        base_digest=rollout.base_digest,
        factor_set_id=version.factor_set_id,
        factor_set_version=version.factor_set_version,
        dataset_id=version.dataset_id,
        verdict="pass" if passed and not carried else "needs_approval",
        gate={},
        card={},
        files={},
    )
    numbers = {"differences": [{**DIFFERENCE, "factor": HOSTILE}, DIFFERENCE], "rows": 300}
    return ItemOutcome("better" if passed else "worse", passed, False, carried, numbers, [HOSTILE], new)


async def work(world: World, shown: Any, *, failing: str | None = None, move: bool = True) -> None:
    """Play the dispatcher: record every adapter, then move the canary."""
    job, rollout = await claim(world, shown)
    async with world.ports.database.platform_transaction() as session:
        await queue.fence(session, job.id, job.attempt)
        items = await rollout_items.open_items(session, rollout.id)
        for material in await rollout_items.begin(session, rollout.id, items):
            done = outcome_of(material, rollout, passed=material.item.tenant_id != failing)
            assert await rollout_items.record(session, job.id, rollout, material, done) == "recorded"
            assert await rollout_items.record(session, job.id, rollout, material, done) == "done_before"
        if move and rollout.canary_share >= 1.0:
            await rollout_moves.complete(session, rollout)
        elif move:
            await rollout_moves.move(session, rollout, "canary")
            await rollouts.set_status(session, rollout.id, "canary")


async def decide(world: World, shown: Any, decision: str) -> Any:
    answer = await world.admin.post(f"/v1/rollouts/{shown['id']}/{decision}")
    assert answer.status_code == 200, answer.text
    return answer.json()
