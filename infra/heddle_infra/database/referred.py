"""Which version of an adapter is meant: the one in production, the newest, or what a reference says."""

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import adapters
from heddle_infra.database.models import AdapterVersionRow, AliasRow
from heddle_platform.errors import NotFound
from heddle_platform.records import Adapter, AdapterVersion


async def in_production(session: AsyncSession, adapter: Adapter) -> AdapterVersion | None:
    """Return the version that `production` points at, or None."""
    row = await session.scalar(
        select(AdapterVersionRow)
        .join(
            AliasRow,
            and_(AliasRow.adapter_id == AdapterVersionRow.adapter_id, AliasRow.version == AdapterVersionRow.version),
        )
        .where(
            AdapterVersionRow.tenant_id == adapter.tenant_id,
            AdapterVersionRow.adapter_id == adapter.id,
            AliasRow.alias == adapters.PRODUCTION,
        )
    )
    return None if row is None else AdapterVersion.model_validate(row)


async def last_fitted(session: AsyncSession, adapter: Adapter) -> AdapterVersion:
    """Return the version in production, else the newest that is more than a name.

    Raises:
        NotFound: code `unknown_version`: there is none.
    """
    served = await in_production(session, adapter)
    if served is not None:
        return served
    row = await session.scalar(
        select(AdapterVersionRow)
        .where(
            AdapterVersionRow.tenant_id == adapter.tenant_id,
            AdapterVersionRow.adapter_id == adapter.id,
            AdapterVersionRow.status != "erased",
        )
        .order_by(AdapterVersionRow.version.desc())
        .limit(1)
    )
    if row is None:
        raise NotFound(
            f"adapter {adapter.name!r} has no version that could be fitted anew; fit one with POST /v1/jobs",
            code="unknown_version",
            param="adapter",
        )
    return AdapterVersion.model_validate(row)


async def current(session: AsyncSession, adapter: Adapter) -> AdapterVersion:
    """Return the version in production, else the newest.

    Raises:
        NotFound: code `unknown_version`: there is none yet.
    """
    served = await in_production(session, adapter)
    if served is not None:
        return served
    newest, _ = await adapters.list_versions(session, adapter.tenant_id, adapter.id, limit=1, after=None)
    if not newest:
        raise NotFound(f"adapter {adapter.name!r} has no version yet", code="unknown_version", param="version")
    return newest[0]


async def referred(session: AsyncSession, tenant_id: str, reference: str) -> tuple[Adapter, AdapterVersion]:
    """Find a version by "name@alias" or "name@version"; by the name alone, the current one. An id is a name here.

    Raises:
        NotFound: codes `unknown_adapter`, `unknown_alias`, `unknown_version`, `version_erased`.
    """
    name, _, place = reference.partition("@")
    adapter = await adapters.resolve(session, tenant_id, name)
    if not place:
        found = await current(session, adapter)
    elif place.isascii() and place.isdigit() and len(place) <= 9:
        found = await adapters.version(session, tenant_id, adapter.id, int(place))
    else:
        pointed = await adapters.get_alias(session, tenant_id, adapter.id, place)
        found = await adapters.version(session, tenant_id, adapter.id, pointed.version)
    refuse_erased(adapter, found)
    return adapter, found


def refuse_erased(adapter: Adapter, found: AdapterVersion) -> None:
    """Refuse a version that is a name only.

    Raises:
        NotFound: code `version_erased`.
    """
    if found.status == "erased":
        instead = f"version {found.replaced_by} took its place" if found.replaced_by else "nothing took its place"
        raise NotFound(
            f"version {found.version} of {adapter.name} was erased with images it had learnt from; {instead}",
            code="version_erased",
            param="version",
        )
