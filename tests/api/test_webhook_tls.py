"""Webhooks over TLS: a receiver on this machine whose certificate is of an authority of the tests' own."""

import dataclasses
from pathlib import Path

import pytest

from heddle_api.control.context import Control
from heddle_api.control.jobs.standing import Standings
from heddle_api.control.seal import Seal
from heddle_api.control.webhooks.network import Outside, Refused, trusting
from heddle_api.control.webhooks.sender import Sender
from heddle_infra.database import outbox
from heddle_infra.database.deliveries import Outcome
from heddle_platform.errors import InvalidInput
from tests.api.certificates import Authority
from tests.api.control_world import Person
from tests.api.receiver import receiving
from tests.api.test_control_webhooks import claimed, endpoint


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def posted(url: str, trusted: Path | None) -> int:
    async with Outside(allow_loopback=True, timeout_seconds=5, context=trusting(trusted)) as outside:
        return await outside.post(url, {}, b"{}")


async def attempted(person: Person, url: str, trusted: Path | None) -> Outcome:
    """Make an event and one attempt to deliver it, with an authority trusted by setting or not."""
    ports, database = person.world.ports, person.world.ports.database
    webhooks = ports.settings.webhooks.model_copy(update={"webhook_ca_file": trusted})
    settings = ports.settings.model_copy(update={"webhooks": webhooks})
    ports = dataclasses.replace(ports, settings=settings)
    sender = Sender(Control(ports, Seal(settings.security.secret_key), Standings(database)))
    made = await endpoint(person, url)
    async with database.transaction(person.id) as session:
        await outbox.emit(session, person.id, "job.failed", {"id": "job_x"})
        (leased,) = await claimed(session, made)  # in one transaction: the plane's own sender is awake
    async with sender.outside() as outside:
        return await sender.attempt(outside, leased)


async def test_a_delivery_over_tls_arrives_where_its_authority_is_trusted_by_setting(
    tenant: Person, authority: Authority
) -> None:
    with receiving(identity=authority.issue("localhost")) as receiver:
        refused = await attempted(tenant, receiver.url, None)
        assert (refused.delivered, receiver.messages) == (False, [])
        assert refused.reason is not None
        assert "certificate is not accepted" in refused.reason
        assert "HEDDLE_WEBHOOK_CA_FILE" in refused.reason
        outcome = await attempted(tenant, receiver.url, authority.file)
        assert (outcome.delivered, outcome.response_status) == (True, 204)
    (message,) = receiver.messages
    assert message.document["type"] == "job.failed"
    assert message.headers["host"] == receiver.url.split("/")[2]


async def test_a_certificate_for_another_name_is_refused(authority: Authority) -> None:
    refused = pytest.raises(Refused, match="certificate is not accepted: Hostname mismatch")
    with receiving(identity=authority.issue("elsewhere.example")) as receiver, refused:
        await posted(receiver.url, authority.file)
    assert receiver.messages == []


async def test_a_certificate_of_another_authority_is_refused(tmp_path: Path, authority: Authority) -> None:
    stranger = Authority(tmp_path, "somebody else")
    with receiving(identity=stranger.issue("localhost")) as receiver:
        with pytest.raises(Refused, match="certificate is not accepted"):
            await posted(receiver.url, authority.file)
        assert await posted(receiver.url, stranger.file) == 204
    assert len(receiver.messages) == 1


async def test_what_does_not_speak_tls_is_told_so() -> None:
    with receiving() as receiver, pytest.raises(Refused, match="does not speak TLS"):
        await posted(receiver.url.replace("http://127.0.0.1", "https://localhost"), None)
    assert receiver.messages == []


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_file_that_holds_no_certificates_is_named(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InvalidInput, match=r"HEDDLE_WEBHOOK_CA_FILE.*ca\.pem"):
        trusting(file)
