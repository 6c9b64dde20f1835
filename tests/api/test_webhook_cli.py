"""`heddle webhook`, run as a shell would run it, against a control plane on a port and a receiver on another."""

import json

from tests.api.control_world import Person
from tests.api.live import Live
from tests.api.receiver import receiving, until
from tests.api.test_control_cli import shell


async def test_from_adding_to_removing(live: Live) -> None:
    made = await live.world.tenant()
    person = Person(live.world, made.id, made.key, made.http)
    with receiving(410) as receiver:
        added = await shell(
            live, "webhook", "add", receiver.url, "--event", "dataset.rejected", "--json", key=person.key
        )
        endpoint = json.loads(added.stdout)
        await person.validated(await person.dataset(), None)
        await until(lambda: len(receiver.messages) == 1)
        while "410" not in (listed := await shell(live, "webhook", "list", key=person.key)).stdout:
            pass
        assert (listed.exit_code, endpoint["secret"] in listed.stdout) == (0, False)
        found = await shell(live, "webhook", "deliveries", endpoint["id"], "--json", key=person.key)
        (delivery,) = json.loads(found.stdout)
        refused = await shell(live, "webhook", "redeliver", endpoint["id"], delivery["id"], key=person.key)
        assert (refused.exit_code, "endpoint_disabled" in refused.output) == (1, True)
        for command in (("enable",), ("redeliver", delivery["id"])):
            done = await shell(live, "webhook", command[0], endpoint["id"], *command[1:], key=person.key)
            assert done.exit_code == 0, done.output
        await until(lambda: len(receiver.messages) == 2)
        rotated = await shell(live, "webhook", "rotate", endpoint["id"], "--json", key=person.key)
        assert json.loads(rotated.stdout)["secret"] != endpoint["secret"]
        removed = await shell(live, "webhook", "remove", endpoint["id"], key=person.key)
        assert removed.exit_code == 0, removed.output
        assert json.loads((await shell(live, "webhook", "list", "--json", key=person.key)).stdout) == []
