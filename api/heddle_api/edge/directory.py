"""Directory: API keys out of the resident snapshot; the database is asked only about hashes never seen before."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, cast

from heddle_api.auth import Principal, suspended
from heddle_api.edge.serving import Serving
from heddle_api.edge.source import SnapshotSource
from heddle_infra.database.serving import ServedKey
from heddle_platform.errors import Unavailable
from heddle_platform.rate import Rate
from heddle_platform.records import Scope

_UNKNOWN_SECONDS: Final = 1.0  # a key made meanwhile arrives with the next snapshot, within a second anyway
_UNKNOWN_MOST: Final = 10_000
_LOOKUPS_AT_ONCE: Final = 4  # a flood of invented keys must not take the database's connections


class EdgeDirectory:
    """The edge's `KeyDirectory`."""

    def __init__(self, current: Callable[[], Serving | None], source: SnapshotSource, default_rate: Rate) -> None:
        """Make a directory.

        Args:
            current: the resident state; None before the first snapshot.
            source: asked about keys that the state does not hold.
            default_rate: of tenants that have none of their own.
        """
        self._current = current
        self._source = source
        self._rate = default_rate
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._lookups = asyncio.Semaphore(_LOOKUPS_AT_ONCE)

    async def find(self, key_hash: str) -> Principal | None:
        """Return who owns the key.

        Raises:
            Forbidden: code `tenant_suspended`.
            Unavailable: code `not_ready` before the first snapshot; or the hash is new and the database is
                away, so that nobody can say whether it is valid.
        """
        serving = self._current()
        if serving is None:
            raise Unavailable("this replica is still starting; try again in a moment", code="not_ready")
        key = serving.keys.get(key_hash)
        if key is not None:
            return self._principal(serving, key, serving.epochs.get(key.tenant_id or "", 0))
        if key_hash in serving.suspended:
            raise suspended()
        if self._unknown.get(key_hash, 0.0) > time.monotonic():
            return None
        async with self._lookups:
            found = await self._source.find_key(key_hash)
        if found is None:
            self._remember_unknown(key_hash)
            return None
        return self._principal(serving, *found)

    def _remember_unknown(self, key_hash: str) -> None:
        self._unknown[key_hash] = time.monotonic() + _UNKNOWN_SECONDS
        self._unknown.move_to_end(key_hash)
        while len(self._unknown) > _UNKNOWN_MOST:
            self._unknown.popitem(last=False)

    def _principal(self, serving: Serving, key: ServedKey, epoch: int) -> Principal | None:
        if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
            return None
        scopes = frozenset(cast(tuple[Scope, ...], key.scopes))
        per_second, burst = serving.rates.get(key.tenant_id or "", (None, None))
        rate = self._rate
        if per_second is not None or burst is not None:
            rate = Rate(per_second or rate.per_second, burst or rate.burst)
        return Principal(key.key_id, key.tenant_id, scopes, epoch, rate)
