"""The control plane's key directory under a flood of invented keys: whoever is known passes by it."""

import asyncio

from pydantic import SecretStr

from heddle_api.auth import Principal
from heddle_api.control.key_directory import DatabaseKeys
from heddle_infra.database.engine import Database
from heddle_platform.settings import DatabaseSettings, QuotaSettings

KNOWN = "a" * 64


class Slow(DatabaseKeys):
    """Asks about strangers for as long as it is told to, and counts how many at once."""

    def __init__(self) -> None:
        url = SecretStr("postgresql+asyncpg://nobody@127.0.0.1:1/none")
        super().__init__(Database(DatabaseSettings(database_url=url)), QuotaSettings())
        self.answering = asyncio.Event()
        self.now = self.most = 0

    async def _ask(self, key_hash: str) -> tuple[Principal, bool] | None:
        if key_hash == KNOWN:
            return Principal("key_1", "ten_1", frozenset()), True
        self.now += 1
        self.most = max(self.most, self.now)
        await self.answering.wait()
        self.now -= 1
        return None


async def test_invented_keys_do_not_take_all_connections_and_a_known_key_passes_by() -> None:
    keys = Slow()
    assert await keys.find(KNOWN) is not None
    flood = [asyncio.create_task(keys.find(f"{number:064x}")) for number in range(100)]
    await asyncio.sleep(0.05)
    async with asyncio.timeout(5):
        keys.changed("/v1/api_keys")  # something was changed: everybody is asked about again
        assert (await keys.find(KNOWN)) is not None
    keys.answering.set()
    assert await asyncio.gather(*flood) == [None] * 100
    assert keys.most == 4
