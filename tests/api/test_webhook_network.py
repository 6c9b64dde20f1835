"""The way out: what leads into our own network is not connected to, whatever it is called."""

from urllib.parse import urlsplit

import pytest

from heddle_api.control.webhooks.network import Outside, Refused, is_public
from tests.api.receiver import receiving

PRIVATE = (
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
    *(
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "ff02::1",
        "240.0.0.1",
    ),
)


@pytest.mark.parametrize("host", ["localhost.", "127.0.0.1", "[::1]"])
async def test_what_leads_into_our_network_is_not_connected_to(host: str) -> None:
    """What a name resolves to is checked where it is connected to: `localhost.` passes no check by its spelling."""
    with receiving() as receiver:
        port = urlsplit(receiver.url).port
        async with Outside(allow_loopback=False, timeout_seconds=2) as outside:
            with pytest.raises(Refused):
                await outside.post(f"https://{host}:{port}/hooks", {}, b"{}")
    assert receiver.messages == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        *((address, False) for address in PRIVATE),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


class Names:
    """A name server that answers in turn; what a name leads to may change from one question to the next."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def __call__(self, host: str, port: int) -> list[str]:
        return self.answers.pop(0)


async def test_a_name_that_is_changed_behind_the_check_gains_nothing() -> None:
    """DNS rebinding: what is connected to is what was checked; the name is not asked for a second time."""
    names = Names(["10.0.0.1", "127.0.0.1"], ["10.0.0.1"])
    with receiving() as receiver:
        async with Outside(allow_loopback=True, timeout_seconds=2, resolve=names) as outside:
            url = receiver.url.replace("127.0.0.1", "localhost")
            assert await outside.post(url, {}, b"{}") == 204
            assert names.answers == [["10.0.0.1"]]  # of two addresses the private one was passed over
            with pytest.raises(Refused):
                await outside.post(url, {}, b"{}")  # each delivery is checked anew: no connection is kept
    assert len(receiver.messages) == 1
    assert receiver.messages[0].headers["host"].startswith("localhost:")
