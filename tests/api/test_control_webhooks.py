"""Webhooks: endpoints under their rules, and events that reach a real receiver, signed, once or again."""

import asyncio
import dataclasses
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.control.app import create_app
from heddle_api.control.context import Control
from heddle_api.control.jobs.standing import Standings
from heddle_api.control.seal import Seal
from heddle_api.control.webhooks.sender import Sender
from heddle_infra.database import deliveries, outbox
from heddle_infra.database.deliveries import Leased, Outcome
from heddle_platform.webhook_records import WEBHOOK_EVENTS
from tests.api.control_world import SECRET, Person, World
from tests.api.receiver import receiving, until

URL = "https://example.com/hooks"


async def endpoint(person: Person, url: str = URL, **more: Any) -> dict[str, Any]:
    """Register an endpoint."""
    made: dict[str, Any] = await person.post("/v1/webhook_endpoints", {"url": url, **more})
    return made


async def emit(person: Person, number: int = 1) -> None:
    """Make events happen."""
    async with person.world.ports.database.transaction(person.id) as session:
        for _ in range(number):
            await outbox.emit(session, person.id, "job.failed", {"id": "job_x"})


async def sent(person: Person, made: dict[str, Any]) -> list[dict[str, Any]]:
    """Read an endpoint's deliveries."""
    found: list[dict[str, Any]] = (await person.get(f"/v1/webhook_endpoints/{made['id']}/deliveries"))["data"]
    return found


async def settled(person: Person, made: dict[str, Any]) -> list[dict[str, Any]]:
    """Read an endpoint's deliveries once none of them waits."""
    async with asyncio.timeout(20):
        while True:
            found = await sent(person, made)
            if found and all(delivery["status"] != "pending" for delivery in found):
                return found
            await asyncio.sleep(0.02)


async def claimed(session: AsyncSession, made: dict[str, Any], lease_seconds: float = 9.0) -> list[Leased]:
    """Lease an endpoint's deliveries, as a sender does."""
    leased = await deliveries.claim(session, limit=99, lease_seconds=lease_seconds)
    return [one for one in leased if one.endpoint.id == made["id"]]


async def rolled_back(person: Person) -> None:
    """Make an event happen in a transaction that fails."""
    async with person.world.ports.database.transaction(person.id) as session:
        await outbox.emit(session, person.id, "job.failed", {})
        raise RuntimeError("no")


async def test_an_endpoint_from_birth_to_end(tenant: Person, other: Person) -> None:
    made = await endpoint(tenant)
    path = f"/v1/webhook_endpoints/{made['id']}"
    assert made["secret"].startswith("whsec_")
    assert made["events"] == list(WEBHOOK_EVENTS)
    read = await tenant.http.get(path)
    assert read.headers["etag"] == '"1"'
    assert "secret" not in read.json()
    assert (await tenant.get("/v1/webhook_endpoints"))["data"] == [read.json()]
    for method in ("GET", "PATCH", "DELETE"):
        options: dict[str, Any] = {"json": {"status": "disabled"}} if method == "PATCH" else {}
        answer = await other.http.request(method, path, headers={"If-Match": "*"}, **options)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_endpoint")
    change = {"description": "the shop"}
    assert (await tenant.http.patch(path, json=change)).status_code == 428
    assert (await tenant.http.patch(path, json=change, headers={"If-Match": '"7"'})).status_code == 412
    changed = await tenant.http.patch(path, json=change, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"], changed.json()["description"]) == (200, '"2"', "the shop")
    assert (await tenant.http.delete(path)).status_code == 428
    assert (await tenant.http.delete(path, headers={"If-Match": '"1"'})).status_code == 412
    assert (await tenant.http.delete(path, headers={"If-Match": '"2"'})).status_code == 204
    assert (await tenant.http.get(path)).status_code == 404


async def test_the_secret_is_sealed_at_rest(tenant: Person) -> None:
    made = await endpoint(tenant)
    async with tenant.world.ports.database.transaction(tenant.id) as session:
        await outbox.emit(session, tenant.id, "job.failed", {})
        (leased,) = [
            one for one in await deliveries.claim(session, limit=99, lease_seconds=9) if one.endpoint.id == made["id"]
        ]
        assert made["secret"].encode() not in leased.endpoint.sealed_secret
        await session.rollback()
    assert Seal(tenant.world.ports.settings.security.secret_key).close(b"x") != b"x"
    assert SECRET not in str(made)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.com/hooks", "https_required"),
        ("https://10.0.0.1/hooks", "private_address"),
        ("https://[::ffff:169.254.169.254]/latest", "private_address"),
        ("https://0x0a.1/hooks", "private_address"),
        ("https://[64:ff9b::7f00:1]/hooks", "private_address"),
        ("https://user:word@example.com/", "invalid_url"),
        ("https://example.com/#part", "invalid_url"),
        ("https://example.com:99999/", "invalid_url"),
        ("ftp://example.com/x", "invalid_request"),
    ],
)
async def test_addresses_that_are_refused(tenant: Person, url: str, code: str) -> None:
    answer = await tenant.http.post("/v1/webhook_endpoints", json={"url": url})
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_events_arrive_signed(tenant: Person) -> None:
    with receiving() as receiver:
        made = await endpoint(tenant, receiver.url)
        await tenant.fitted(verdict="needs_approval")
        await tenant.post("/v1/adapters/avatars/versions/1/approvals", {"decision": "approve"})
        await until(lambda: len(receiver.messages) == 4)
    by_type = {message.document["type"]: message for message in receiver.messages}
    assert set(by_type) == {"dataset.ready", "job.awaiting_approval", "job.succeeded", "adapter.alias_moved"}
    assert all(message.signed_by(made["secret"]) for message in receiver.messages)
    assert by_type["job.awaiting_approval"].document["data"]["version"] == 1
    assert by_type["adapter.alias_moved"].document["data"]["alias"] == "production"
    message = receiver.messages[0]
    assert message.headers["content-type"] == "application/json"
    tampered = dataclasses.replace(message, body=message.body + b" ")
    assert not tampered.signed_by(made["secret"])
    ids = {message.headers["webhook-id"] for message in receiver.messages}
    assert ids == {delivery["event_id"] for delivery in await settled(tenant, made)}


async def test_only_what_was_asked_for_is_told_and_only_to_its_owner(tenant: Person, other: Person) -> None:
    with receiving() as receiver, receiving() as rival:
        await endpoint(other, rival.url)
        made = await endpoint(tenant, receiver.url, events=["dataset.rejected", "job.cancelled"])
        dataset = await tenant.dataset()
        await tenant.validated(dataset, None)
        await until(lambda: len(receiver.messages) == 1)
        await settled(tenant, made)
    assert receiver.messages[0].document["data"]["fault_count"] == 1
    assert rival.messages == []


async def test_what_is_rolled_back_is_not_told(tenant: Person) -> None:
    made = await endpoint(tenant)
    with pytest.raises(RuntimeError, match="no"):
        await rolled_back(tenant)
    assert await sent(tenant, made) == []


async def test_a_rotated_secret_signs_beside_the_old_one(tenant: Person) -> None:
    with receiving() as receiver:
        made = await endpoint(tenant, receiver.url)
        rotated = await tenant.post(f"/v1/webhook_endpoints/{made['id']}/rotate")
        await emit(tenant)
        await until(lambda: len(receiver.messages) == 1)
    assert rotated["secret"] != made["secret"]
    assert receiver.messages[0].signed_by(made["secret"])
    assert receiver.messages[0].signed_by(rotated["secret"])
    assert not receiver.messages[0].signed_by("whsec_AAAA")


async def test_failures_are_tried_again_and_given_up_with_a_reason(tenant: Person) -> None:
    with receiving(500, 302, 200) as receiver:
        made = await endpoint(tenant, receiver.url)
        await emit(tenant)
        (delivery,) = await settled(tenant, made)
        assert (delivery["status"], delivery["attempts"], delivery["response_status"]) == ("delivered", 3, 200)
        assert len({message.headers["webhook-id"] for message in receiver.messages}) == 1
        assert len(receiver.messages) == 3  # the redirect was not followed
        receiver.statuses = [503, 503, 503, 503]
        await emit(tenant)
        given_up = (await settled(tenant, made))[0]
        assert (given_up["status"], given_up["attempts"], given_up["reason"]) == ("failed", 4, "it answered 503")
        assert (await tenant.get(f"/v1/webhook_endpoints/{made['id']}"))["failing_since"] is not None
        path = f"/v1/webhook_endpoints/{made['id']}/deliveries/{given_up['id']}/redeliver"
        assert (await tenant.post(path))["status"] == "pending"
        again = (await settled(tenant, made))[0]
        assert (again["status"], again["attempts"]) == ("delivered", 5)
        assert receiver.messages[-1].headers["webhook-id"] == given_up["event_id"]


async def test_410_switches_off_and_patch_switches_on(tenant: Person) -> None:
    with receiving(410) as receiver:
        made = await endpoint(tenant, receiver.url)
        await emit(tenant)
        (delivery,) = await settled(tenant, made)
        read = await tenant.http.get(path := f"/v1/webhook_endpoints/{made['id']}")
        assert (read.json()["status"], "410" in read.json()["disabled_reason"]) == ("disabled", True)
        await emit(tenant)
        assert len(await sent(tenant, made)) == 1
        again = f"{path}/deliveries/{delivery['id']}/redeliver"
        assert (await tenant.http.post(again)).json()["code"] == "endpoint_disabled"
        match = {"If-Match": read.headers["etag"]}
        assert (await tenant.http.patch(path, json={"status": "enabled"}, headers=match)).status_code == 200
        await tenant.post(again)
        await until(lambda: len(receiver.messages) == 2)


async def test_an_endpoint_that_takes_nothing_for_long_is_switched_off(tenant: Person) -> None:
    made = await endpoint(tenant)
    async with tenant.world.ports.database.transaction(tenant.id) as session:
        for _ in range(2):
            await outbox.emit(session, tenant.id, "job.failed", {})
        leased = [
            one for one in await deliveries.claim(session, limit=99, lease_seconds=9) if one.endpoint.id == made["id"]
        ]
        why = await deliveries.finish(
            session, leased[0], Outcome(False, reason="no answer"), retry_after_seconds=9, disable_after_seconds=0
        )
    assert why is not None
    read = await tenant.get(f"/v1/webhook_endpoints/{made['id']}")
    assert (read["status"], read["disabled_reason"]) == ("disabled", why)
    assert {delivery["status"] for delivery in await sent(tenant, made)} == {"failed"}


async def test_a_suspended_tenant_is_sent_nothing_until_it_is_resumed(
    world: World, tenant: Person, other: Person
) -> None:
    path = f"/v1/admin/tenants/{tenant.id}"
    with receiving() as receiver, receiving() as busy:
        made = await endpoint(tenant, receiver.url)
        await endpoint(other, busy.url)
        await world.admin.patch(path, json={"status": "suspended"})
        await emit(tenant)
        await emit(other)
        await until(lambda: len(busy.messages) == 1)  # the sender has looked
        await asyncio.sleep(0.1)
        assert receiver.messages == []
        await world.admin.patch(path, json={"status": "active"})
        (delivery,) = await settled(tenant, made)
    assert (delivery["status"], delivery["attempts"], len(receiver.messages)) == ("delivered", 1, 1)


async def test_several_senders_send_each_event_once(tenant: Person) -> None:
    ports = tenant.world.ports
    senders = [
        Sender(Control(ports, Seal(ports.settings.security.secret_key), Standings(ports.database))) for _ in range(3)
    ]
    with receiving() as receiver:
        made = await endpoint(tenant, receiver.url)
        tasks = [asyncio.create_task(sender.run()) for sender in senders]
        await emit(tenant, 25)
        found = await settled(tenant, made)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    told = [message.headers["webhook-id"] for message in receiver.messages]
    assert (
        len(told)
        == len(set(told))
        == len((await tenant.get(f"/v1/webhook_endpoints/{made['id']}/deliveries?limit=100"))["data"])
        == 25
    )
    assert {delivery["attempts"] for delivery in found} == {1}


async def test_what_a_killed_sender_held_is_sent_by_another(world: World, tenant: Person) -> None:
    with receiving() as receiver:
        made = await endpoint(tenant, receiver.url)
        async with world.ports.database.transaction(tenant.id) as session:
            await outbox.emit(session, tenant.id, "job.failed", {"id": "job_x"})
            (late,) = await claimed(session, made, 0.3)  # and then it is killed
        (delivery,) = await settled(tenant, made)
        assert (delivery["status"], delivery["attempts"], len(receiver.messages)) == ("delivered", 2, 1)
        async with world.ports.database.transaction(
            tenant.id
        ) as session:  # it was only asleep, and comes back too late
            await deliveries.finish(
                session, late, Outcome(False, 500, "late"), retry_after_seconds=None, disable_after_seconds=9
            )
        assert (await sent(tenant, made))[0]["status"] == "delivered"


def test_the_plane_documents_its_webhooks() -> None:
    assert "/v1/webhook_endpoints/{endpoint}/deliveries" in create_app().openapi()["paths"]
