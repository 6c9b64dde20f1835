"""The control plane's key directory: the database is asked about a key once a second, and each time if it will expire.

What a replica answers to a request that may have changed something makes it forget all keys, unless no route of that
path touches keys, tenants or limits: a key that is revoked here stops here at once, and within a second at other
replicas.
"""

import asyncio
import re
import time
from collections import OrderedDict
from contextlib import nullcontext
from typing import Final

from heddle_api.auth import Principal, suspended
from heddle_infra.database import quotas, tenants
from heddle_infra.database.engine import Database
from heddle_platform.rate import Rate
from heddle_platform.settings import QuotaSettings

_RATE_SECONDS: Final = 1.0  # how long a tenant's rate is believed: as long as it takes to reach the edges
_RATES_MOST: Final = 10_000
_KEY_SECONDS: Final = 1.0
_MET_MOST: Final = 10_000
_STRANGERS_AT_ONCE: Final = 4  # a flood of invented keys must not take the database's connections
# jobs come by the thousand; whatever else is changed is rare, and may be a key, a tenant, its limits or its epoch
_OF_NO_ACCOUNT: Final = re.compile(r"/v1/jobs(/.*)?")


class DatabaseKeys:
    """Implements `KeyDirectory` over rows."""

    def __init__(self, database: Database, settings: QuotaSettings) -> None:
        self._database = database
        self._settings = settings
        self._rates: dict[str, tuple[Rate, float]] = {}
        self._known: dict[str, tuple[Principal, float]] = {}
        self._asking: dict[tuple[str, int], asyncio.Task[Principal | None]] = {}
        self._changes = 0
        self._met: OrderedDict[str, None] = OrderedDict()
        self._strangers = asyncio.Semaphore(_STRANGERS_AT_ONCE)

    def changed(self, path: str) -> None:
        """Ask the database about every key again, where a request to this path may have changed what it knows of one.

        What is being asked at the moment is not believed for long.
        """
        if _OF_NO_ACCOUNT.fullmatch(path):
            return
        self._known.clear()
        self._changes += 1

    async def find(self, key_hash: str) -> Principal | None:
        """Return who owns the key of this hash; None if it is unknown, revoked or expired.

        Raises:
            Forbidden: code `tenant_suspended`.
        """
        known, until = self._known.get(key_hash, (None, 0.0))
        if known is not None and time.monotonic() < until:
            return known
        # a flood of requests of one key asks once, unless something was changed since that was asked
        place = (key_hash, self._changes)
        asking = self._asking.get(place)
        if asking is None:
            asking = self._asking[place] = asyncio.create_task(self._learn(key_hash), name="key")
            asking.add_done_callback(lambda _: self._asking.pop(place, None))
        return await asyncio.shield(asking)

    async def _learn(self, key_hash: str) -> Principal | None:
        changes, asked = self._changes, time.monotonic()
        async with nullcontext() if key_hash in self._met else self._strangers:
            found = await self._ask(key_hash)
        if found is None:
            return None
        self._meet(key_hash)
        principal, ends = found
        if not ends and changes == self._changes:
            if len(self._known) >= _RATES_MOST:
                self._known.clear()
            self._known[key_hash] = (principal, asked + _KEY_SECONDS)
        return principal

    def _meet(self, key_hash: str) -> None:
        """Remember a key that was good once: whether it still is, is asked without standing in line."""
        self._met[key_hash] = None
        self._met.move_to_end(key_hash)
        if len(self._met) > _MET_MOST:
            self._met.popitem(last=False)

    async def _ask(self, key_hash: str) -> tuple[Principal, bool] | None:
        """Return who owns the key, and whether it ends by itself: such a key is asked about every time."""
        async with self._database.platform_transaction() as session:  # whose key it is, is the question
            found = await tenants.find_key(session, key_hash)
            if found is None:
                if await tenants.is_suspended(session, key_hash):
                    raise suspended()
                return None
            key, tenant = found
            scopes = frozenset(key.scopes)
            ends = key.expires_at is not None or key.previous_ends_at is not None
            if tenant is None:
                return Principal(key.id, None, scopes), ends
            rate, until = self._rates.get(tenant.id, (None, 0.0))
            if rate is None or until < time.monotonic():
                rate = await quotas.rate(session, tenant.id, self._settings)
                self._remember(tenant.id, rate)
        return Principal(key.id, tenant.id, scopes, tenant.epoch, rate), ends

    def _remember(self, tenant_id: str, rate: Rate) -> None:
        if len(self._rates) >= _RATES_MOST:
            self._rates.clear()
        self._rates[tenant_id] = (rate, time.monotonic() + _RATE_SECONDS)
