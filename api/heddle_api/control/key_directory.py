"""The control plane's key directory: every look-up asks the database, so a revoked key stops at once."""

import time
from typing import Final

from heddle_api.auth import Principal, suspended
from heddle_infra.database import quotas, tenants
from heddle_infra.database.engine import Database
from heddle_platform.rate import Rate
from heddle_platform.settings import QuotaSettings

_RATE_SECONDS: Final = 1.0  # how long a tenant's rate is believed: as long as it takes to reach the edges
_RATES_MOST: Final = 10_000


class DatabaseKeys:
    """Implements `KeyDirectory` over rows."""

    def __init__(self, database: Database, settings: QuotaSettings) -> None:
        self._database = database
        self._settings = settings
        self._rates: dict[str, tuple[Rate, float]] = {}

    async def find(self, key_hash: str) -> Principal | None:
        """Return who owns the key of this hash; None if it is unknown, revoked or expired.

        Raises:
            Forbidden: code `tenant_suspended`.
        """
        async with self._database.platform_transaction() as session:  # whose key it is, is the question
            found = await tenants.find_key(session, key_hash)
            if found is None:
                if await tenants.is_suspended(session, key_hash):
                    raise suspended()
                return None
            key, tenant = found
            scopes = frozenset(key.scopes)
            if tenant is None:
                return Principal(key.id, None, scopes)
            rate, until = self._rates.get(tenant.id, (None, 0.0))
            if rate is None or until < time.monotonic():
                rate = await quotas.rate(session, tenant.id, self._settings)
                self._remember(tenant.id, rate)
        return Principal(key.id, tenant.id, scopes, tenant.epoch, rate)

    def _remember(self, tenant_id: str, rate: Rate) -> None:
        if len(self._rates) >= _RATES_MOST:
            self._rates.clear()
        self._rates[tenant_id] = (rate, time.monotonic() + _RATE_SECONDS)
