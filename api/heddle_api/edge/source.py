"""Source: where the edge learns what to serve; the database in production, a plain object in tests."""

from typing import Protocol

from heddle_infra.database import serving, tenants
from heddle_infra.database.engine import Database
from heddle_infra.database.serving import ServedKey, ServingSnapshot


class SnapshotSource(Protocol):
    """What the loader and the key directory ask."""

    async def snapshot(self) -> ServingSnapshot:
        """Return the present state of serving.

        Raises:
            Unavailable: the source cannot be reached.
        """

    async def stamp(self) -> str | None:
        """Return what is different whenever `snapshot` would be; None: nobody can tell, ask for it.

        Raises:
            Unavailable: the source cannot be reached.
        """

    async def find_key(self, key_hash: str) -> tuple[ServedKey, int] | None:
        """Return the valid key of this hash and its tenant's epoch (0: no tenant), or None.

        Raises:
            Unavailable: the source cannot be reached.
        """


class DatabaseSource:
    """The source behind a running edge."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def snapshot(self) -> ServingSnapshot:
        # it asks several times, and an alias must not name a version that an earlier answer did not have yet
        async with self._database.platform_transaction(one_snapshot=True) as session:
            return await serving.snapshot(session)

    async def stamp(self) -> str:
        async with self._database.single() as connection:
            return await serving.stamp(connection)

    async def find_key(self, key_hash: str) -> tuple[ServedKey, int] | None:
        async with self._database.platform_transaction() as session:
            found = await tenants.find_key(session, key_hash)
        if found is None:
            return None
        key, tenant = found
        return ServedKey(key.id, key.tenant_id, key.scopes, key.expires_at), tenant.epoch if tenant else 0
