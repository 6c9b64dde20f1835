"""What an edge replica must know to serve without asking the database: versions, aliases, keys, bases."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Executable, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from heddle_infra.database import quotas, served_keys
from heddle_infra.database.adapters import PRODUCTION, SERVABLE
from heddle_infra.database.arrays import texts
from heddle_infra.database.edge_models import ServingChangeRow
from heddle_infra.database.models import (
    AdapterRow,
    AdapterVersionRow,
    AliasRow,
    BaseAliasRow,
    BaseRow,
    TenantRow,
)
from heddle_infra.database.served_keys import ServedKey
from heddle_platform.records import AdapterVersion

__all__ = ["CHANGED_CHANNEL", "ServedBase", "ServedKey", "ServedVersion", "ServingSnapshot", "snapshot", "stamp"]

CHANGED_CHANNEL = "heddle:serving"
_ROWS_AT_ONCE: Final = 500  # about three milliseconds, in which the event loop does nothing else


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """A version that may be served: `digest` addresses its files."""

    tenant_id: str
    adapter_id: str
    adapter_name: str
    version: int
    digest: str
    base_digest: str


@dataclass(frozen=True)
class ServedTrial:
    """Versions on trial beside an alias's own: see `adapters.Trial`."""

    canary: int | None
    weight: float
    shadow: int | None


@dataclass(frozen=True)
class ServedBase:
    """A base that some alias or some served version needs."""

    id: str
    name: str
    digest: str


@dataclass(frozen=True)
class ServingSnapshot:
    """The state of serving at one moment.

    Attributes:
        versions: all versions that passed or were approved, of active tenants.
        aliases: (tenant id, adapter name, alias) -> version number.
        keys: SHA-256 of the key -> the key.
        epochs: tenant id -> epoch, active tenants only.
        bases: digest -> base.
        base_aliases: alias -> digest.
        trials: (tenant id, adapter name, alias) -> what is on trial there; most aliases have none.
        suspended: SHA-256 of each key that would be valid if its tenant were not suspended.
        rates: tenant id -> requests per second and burst, where an operator set something; None: the default.
    """

    versions: tuple[ServedVersion, ...]
    aliases: Mapping[tuple[str, str, str], int]
    keys: Mapping[str, ServedKey]
    epochs: Mapping[str, int]
    bases: Mapping[str, ServedBase]
    base_aliases: Mapping[str, str]
    trials: Mapping[tuple[str, str, str], ServedTrial] = field(default_factory=dict)
    suspended: frozenset[str] = frozenset()
    rates: Mapping[str, tuple[float | None, int | None]] = field(default_factory=dict)


async def stamp(connection: AsyncConnection) -> str:
    """Return what is different after every committed change of what `snapshot` reads; a few rows, however many
    tenants there are. They are behind no wall, so a connection of `Database.single` is enough."""
    found = await connection.execute(select(func.count(), func.coalesce(func.sum(ServingChangeRow.changes), 0)))
    return "/".join(str(number) for number in found.one())


async def snapshot(session: AsyncSession) -> ServingSnapshot:
    """Read all that serving needs, in one consistent transaction."""
    active = TenantRow.status == "active"
    epochs = dict((await session.execute(select(TenantRow.id, TenantRow.epoch).where(active))).all())
    # columns, not rows: a card is a hundred times larger than all that serving needs of a version
    served = (
        select(
            AdapterVersionRow.tenant_id,
            AdapterVersionRow.adapter_id,
            AdapterRow.name,
            AdapterVersionRow.version,
            AdapterVersionRow.digest,
            AdapterVersionRow.base_digest,
        )
        .join(AdapterRow, AdapterRow.id == AdapterVersionRow.adapter_id)
        .join(TenantRow, TenantRow.id == AdapterVersionRow.tenant_id)
        .where(active, AdapterVersionRow.status.in_(SERVABLE))
    )
    same: dict[str, str] = {}  # thousands of rows name the same base and the same few adapters
    versions = []
    async for part in _parts(session, served):
        for tenant_id, adapter_id, name, number, digest, base_digest in part:
            shared = same.setdefault(name, name), same.setdefault(base_digest, base_digest)
            versions.append(ServedVersion(tenant_id, adapter_id, shared[0], number, digest, shared[1]))
    pointers = (
        select(
            AliasRow.tenant_id,
            AdapterRow.name,
            AliasRow.alias,
            AliasRow.version,
            AliasRow.canary_version,
            AliasRow.canary_weight,
            AliasRow.shadow_version,
        )
        .join(AdapterRow, AdapterRow.id == AliasRow.adapter_id)
        .join(TenantRow, TenantRow.id == AliasRow.tenant_id)
        .where(active)
    )
    aliases: dict[tuple[str, str, str], int] = {}
    trials: dict[tuple[str, str, str], ServedTrial] = {}
    async for part in _parts(session, pointers):
        for tenant_id, name, alias, number, canary, weight, shadow in part:
            key = tenant_id, same.setdefault(name, name), same.setdefault(alias, alias)
            aliases[key] = number
            if canary is not None or shadow is not None:
                trials[key] = ServedTrial(canary, weight or 0.0, shadow)
    keys, suspended = await served_keys.served(session)
    bases = (await session.execute(select(BaseRow.id, BaseRow.name, BaseRow.digest))).all()
    by_id = {base.id: base for base in bases}
    base_aliases = (await session.execute(select(BaseAliasRow.alias, BaseAliasRow.base_id))).all()
    return ServingSnapshot(
        versions=tuple(versions),
        aliases=aliases,
        keys=keys,
        epochs=epochs,
        bases={base.digest: ServedBase(base.id, base.name, base.digest) for base in bases},
        base_aliases={alias: by_id[base_id].digest for alias, base_id in base_aliases},
        suspended=suspended,
        rates=await quotas.rates(session),
        trials=trials,
    )


async def in_production(
    session: AsyncSession, names: Collection[tuple[str, str]]
) -> dict[tuple[str, str], AdapterVersion]:
    """Return the versions that `production` points at, of adapters given as (tenant id, name); others are left out."""
    pairs = list(names)
    unnested = func.unnest(texts(tenant for tenant, _ in pairs), texts(name for _, name in pairs))
    wanted = unnested.table_valued("tenant_id", "name", name="wanted").render_derived()
    rows = await session.execute(
        select(AdapterRow.tenant_id, AdapterRow.name, AdapterVersionRow)
        .join(AliasRow, and_(AliasRow.adapter_id == AdapterRow.id, AliasRow.alias == PRODUCTION))
        .join(
            AdapterVersionRow,
            and_(AdapterVersionRow.adapter_id == AdapterRow.id, AdapterVersionRow.version == AliasRow.version),
        )
        .join(wanted, and_(wanted.c.tenant_id == AdapterRow.tenant_id, wanted.c.name == AdapterRow.name))
    )
    return {(tenant_id, name): AdapterVersion.model_validate(row) for tenant_id, name, row in rows.all()}


async def _parts(session: AsyncSession, statement: Executable) -> AsyncIterator[Any]:
    """Yield rows, some at a time, and let others run in between."""
    async for part in (await session.stream(statement)).partitions(_ROWS_AT_ONCE):
        yield part
        await asyncio.sleep(0)
