"""Factor sets: immutable versions under one id and name per tenant."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.models import FactorSetRow, FactorSetVersionRow
from heddle_infra.database.paging import page
from heddle_platform.digest import json_digest
from heddle_platform.errors import NotFound
from heddle_platform.factors import FactorSet
from heddle_platform.ids import is_id, new_id
from heddle_platform.records import FactorSetVersion


async def register(session: AsyncSession, tenant_id: str, factor_set: FactorSet) -> FactorSetVersion:
    """Add a version of the tenant's factor set of that name; an unchanged document is the version it is."""
    await session.execute(
        insert(FactorSetRow)
        .values(id=new_id("fs"), tenant_id=tenant_id, name=factor_set.name)
        .on_conflict_do_nothing(index_elements=[FactorSetRow.tenant_id, FactorSetRow.name])
    )
    # the row lock makes version numbers gapless under concurrent registrations
    head = (
        await session.scalars(
            select(FactorSetRow)
            .where(FactorSetRow.tenant_id == tenant_id, FactorSetRow.name == factor_set.name)
            .with_for_update()
        )
    ).one()
    latest = await session.scalar(
        select(FactorSetVersionRow)
        .where(FactorSetVersionRow.id == head.id)
        .order_by(FactorSetVersionRow.version.desc())
        .limit(1)
    )
    document = factor_set.document()
    digest = json_digest(document)
    if latest is not None and latest.digest == digest:
        return FactorSetVersion.model_validate(latest)
    row = FactorSetVersionRow(
        id=head.id,
        version=latest.version + 1 if latest else 1,
        tenant_id=tenant_id,
        name=factor_set.name,
        digest=digest,
        document=document,
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return FactorSetVersion.model_validate(row)


async def resolve(
    session: AsyncSession, tenant_id: str, reference: str, version: int | None = None
) -> FactorSetVersion:
    """Find a version of a tenant's factor set by id or name; the newest where no version is given.

    Raises:
        NotFound: code `unknown_factor_set`.
    """
    column = FactorSetRow.id if is_id(reference, "fs") else FactorSetRow.name
    query = (
        select(FactorSetVersionRow)
        .join(FactorSetRow, FactorSetRow.id == FactorSetVersionRow.id)
        .where(FactorSetRow.tenant_id == tenant_id, column == reference)
        .order_by(FactorSetVersionRow.version.desc())
        .limit(1)
    )
    if version is not None:
        query = query.where(FactorSetVersionRow.version == version)
    row = await session.scalar(query)
    if row is None:
        suffix = f" version {version}" if version is not None else ""
        raise NotFound(
            f"there is no factor set {reference[:80]!r}{suffix}; register it with POST /v1/factor_sets",
            code="unknown_factor_set",
            param="factor_set",
        )
    return FactorSetVersion.model_validate(row)


async def list_latest(
    session: AsyncSession, tenant_id: str, *, limit: int, after: str | None
) -> tuple[list[FactorSetVersion], bool]:
    """Return one page of the newest version of each factor set, and whether there are more."""
    rows, more = await page(
        session,
        select(FactorSetVersionRow)
        .where(FactorSetVersionRow.tenant_id == tenant_id)
        .ext(distinct_on(FactorSetVersionRow.id))
        .order_by(FactorSetVersionRow.id.desc(), FactorSetVersionRow.version.desc()),
        FactorSetVersionRow.id,
        limit=limit,
        after=after,
    )
    return [FactorSetVersion.model_validate(row) for row in rows], more
