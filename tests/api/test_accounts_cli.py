"""Commands of keys, quotas, usage and the audit trail, against a control plane on a port."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from heddle_api.cli.duration import seconds_of
from heddle_infra.database import usage
from heddle_platform.ids import new_id
from heddle_platform.usage import Slot, hour_of
from tests.api.live import Live
from tests.api.test_control_audit import tables_owner
from tests.api.test_control_cli import run, shell


async def test_a_key_is_made_rotated_and_revoked(live: Live) -> None:
    person = await live.world.tenant()
    made = json.loads((await shell(live, "key", "create", "shop", "--scope", "edits", "--json", key=person.key)).stdout)
    rotated = await shell(live, "key", "rotate", made["id"], "--overlap", "2h", key=person.key)
    assert (rotated.exit_code, "The old secret works until" in rotated.stdout) == (0, True), rotated.output
    leaked = await shell(live, "key", "rotate", made["id"], "--overlap", "0", "--json", key=person.key)
    assert json.loads(leaked.stdout)["previous_ends_at"] is None
    assert "was revoked at" in (await shell(live, "key", "revoke", made["id"], key=person.key)).stdout
    again = await shell(live, "key", "rotate", made["id"], key=person.key)
    assert (again.exit_code, "(key_not_valid)" in again.stderr) == (1, True)
    listed = (await shell(live, "key", "list", key=person.key)).stdout
    assert "old secret ends" in listed
    assert made["id"] in listed


async def test_an_operator_sets_limits_one_by_one_and_takes_them_back(live: Live) -> None:
    person, admin = await live.world.tenant(), live.world.admin_key

    async def quota(*arguments: str) -> dict[str, object]:
        result = await shell(live, "tenant", "quota", person.id, *arguments, "--json", HEDDLE_ADMIN_KEY=admin)
        assert result.exit_code == 0, result.output
        found: dict[str, object] = json.loads(result.stdout)["limits"]
        return found

    before = await quota()
    assert await quota("--set", "images=1_000", "--set", "requests-per-second=2.5") == {
        **before,
        "images": 1000,
        "requests_per_second": 2.5,
    }
    assert (await quota("--set", "weight=3"))["images"] == 1000
    assert await quota("--set", "images=default", "--set", "requests_per_second=default", "--set", "weight=1") == before
    shown = await shell(live, "tenant", "quota", person.id, HEDDLE_ADMIN_KEY=admin)
    assert "no limit" in shown.stdout
    missing = await shell(live, "tenant", "quota", new_id("ten"), HEDDLE_ADMIN_KEY=admin)
    assert (missing.exit_code, "(not_found)" in missing.stderr) == (1, True)


async def test_a_tenant_is_suspended_and_resumed(live: Live) -> None:
    person, admin = await live.world.tenant(), live.world.admin_key
    suspended = await shell(live, "tenant", "suspend", person.id, HEDDLE_ADMIN_KEY=admin)
    assert suspended.stdout == f"Tenant {person.id} (acme) is suspended.\n"
    refused = await shell(live, "whoami", key=person.key)
    assert (refused.exit_code, "(tenant_suspended)" in refused.stderr) == (1, True)
    assert "is active" in (await shell(live, "tenant", "resume", person.id, HEDDLE_ADMIN_KEY=admin)).stdout
    assert (await shell(live, "whoami", key=person.key)).exit_code == 0


async def test_a_tenant_is_deleted_once_it_is_suspended_and_meant(live: Live) -> None:
    person, admin = await live.world.tenant(), live.world.admin_key
    arguments = ("tenant", "delete", person.id)
    unasked = await shell(live, *arguments, HEDDLE_ADMIN_KEY=admin)  # nobody is there to say yes
    assert unasked.exit_code == 1
    active = await shell(live, *arguments, "--yes", HEDDLE_ADMIN_KEY=admin)
    assert (active.exit_code, active.stderr.startswith("error: ")) == (1, True)
    await shell(live, "tenant", "suspend", person.id, HEDDLE_ADMIN_KEY=admin)
    gone = await shell(live, *arguments, "--yes", "--json", HEDDLE_ADMIN_KEY=admin)
    assert (gone.exit_code, json.loads(gone.stdout)) == (0, {"deleted": person.id}), gone.output
    assert person.id not in (await shell(live, "tenant", "list", HEDDLE_ADMIN_KEY=admin)).stdout


async def test_usage_is_told_by_the_hour_and_by_the_day(live: Live) -> None:
    person, admin = await live.world.tenant(), live.world.admin_key
    day = hour_of(datetime.now(UTC)).replace(hour=0) - timedelta(days=2)
    counts = {
        Slot(person.id, day + timedelta(hours=hour), "edits"): amount for hour, amount in ((1, 1_000), (2, 2_345))
    }
    levels = {Slot(person.id, day + timedelta(hours=hour), "bytes_stored"): 7_000 for hour in (1, 2)}
    async with live.world.ports.database.platform_transaction() as session:
        await usage.add(session, {**counts, **levels})
    span = ("--from", day.isoformat(), "--to", (day + timedelta(days=1)).isoformat())
    hours = await shell(live, "usage", *span, key=person.key)
    assert f"{day:%Y-%m-%d} 01:00" in hours.stdout
    assert "3,345" in hours.stdout.splitlines()[-1]  # the total
    assert "14,000" not in hours.stdout  # what is stored is not summed
    by_day = await shell(live, "usage", *span, "--by-day", "--tenant", person.id, HEDDLE_ADMIN_KEY=admin)
    assert by_day.exit_code == 0, by_day.output
    assert len(by_day.stdout.splitlines()) == 2
    nothing = await shell(live, "usage", "--from", "2001-01-01", "--to", "2001-01-02", key=person.key)
    assert nothing.stdout == "Nothing was counted in this time.\n"
    assert len(json.loads((await shell(live, "usage", *span, "--json", key=person.key)).stdout)) == 2


async def test_the_trail_is_listed_and_verified_and_a_broken_one_named(live: Live, postgres_owner_url: str) -> None:
    person, admin = await live.world.tenant(), live.world.admin_key
    await person.post("/v1/api_keys", {"name": "a", "scopes": ["jobs"]})
    await person.post("/v1/api_keys", {"name": "b", "scopes": ["jobs"]})
    listed = await shell(live, "audit", "list", "--action", "create_key", key=person.key)
    assert (listed.exit_code, listed.stdout.count("create_key")) == (0, 2), listed.output
    whole = await shell(live, "audit", "verify", key=person.key)
    assert (whole.exit_code, "3 event(s) in 1 chain(s)" in whole.stdout) == (0, True), whole.output
    end = whole.stdout.split()[-1]
    assert end.startswith(f"{person.id}:3:")
    async with tables_owner(postgres_owner_url) as connection:
        tampering = "update audit_events set target = 'key_other' where tenant_id = :id and sequence = 2"
        await connection.execute(text(tampering), {"id": person.id})
    broken = await shell(live, "audit", "verify", "--remembered", end, key=person.key)
    assert broken.exit_code == 1
    assert f"chain {person.id}, event 2 (ev_" in broken.stderr
    by_operator = await shell(live, "audit", "verify", "--tenant", person.id, "--json", HEDDLE_ADMIN_KEY=admin)
    document = json.loads(by_operator.stdout)
    assert (by_operator.exit_code, document["valid"], document["faults"][0]["sequence"]) == (1, False, 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("key", "rotate", "key_1", "--overlap", "soon"), "'soon' is no time"),
        (("tenant", "quota", "ten_1", "--set", "cores=3"), "'cores=3' is no limit"),
        (("tenant", "quota", "ten_1", "--set", "images=many"), "'many' is no number"),
        (("usage", "--from", "yesterday"), "'yesterday' is no moment"),
        (("audit", "verify", "--remembered", "x:y"), "is no end of a chain"),
    ],
)
def test_what_makes_no_sense_is_not_sent(arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments, key="key", HEDDLE_ADMIN_KEY="key")
    assert (result.exit_code, said in result.stderr) == (1, True), result.output


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("30m", 1_800),
        ("24H", 86_400),
        (" 7d ", 604_800),
        ("-1s", None),
        ("1.5h", None),
        ("", None),
    ],
)
def test_times_as_people_type_them(said: str, seconds: int | None) -> None:
    assert seconds_of(said) == seconds
