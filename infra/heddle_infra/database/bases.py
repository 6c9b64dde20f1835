"""Published bases and the aliases that point at them."""

from typing import Any

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.models import BaseAliasRow, BaseRow
from heddle_infra.database.paging import page
from heddle_platform.errors import NotFound
from heddle_platform.ids import new_id
from heddle_platform.records import Base


async def publish(session: AsyncSession, *, name: str, digest: str, manifest: dict[str, Any]) -> tuple[Base, bool]:
    """Add a base whose files are in the object store already.

    Returns:
        The base, and whether it is new; the same digest twice is the same base.
    """
    added = await session.scalar(
        insert(BaseRow)
        .values(id=new_id("bas"), name=name, digest=digest, manifest=manifest)
        .on_conflict_do_nothing(index_elements=[BaseRow.digest])
        .returning(BaseRow.id)
    )
    row = (await session.scalars(select(BaseRow).where(BaseRow.digest == digest))).one()
    return Base.model_validate(row), added is not None


async def set_alias(session: AsyncSession, alias: str, base_id: str) -> None:
    """Point an alias at a base, making the alias if it is new."""
    await session.execute(
        insert(BaseAliasRow)
        .values(alias=alias, base_id=base_id)
        .on_conflict_do_update(
            index_elements=[BaseAliasRow.alias],
            set_={"base_id": base_id, "revision": BaseAliasRow.revision + 1, "updated_at": func.now()},
        )
    )


async def get_alias(session: AsyncSession, name: str, alias: str, *, lock: bool = False) -> tuple[Base, int]:
    """Return the base of this name that the alias points at, and the alias's revision (its ETag).

    Raises:
        NotFound: code `unknown_alias`: there is none, or it points at a base of another name.
    """
    query = select(BaseAliasRow, BaseRow).join(BaseRow, BaseRow.id == BaseAliasRow.base_id)
    query = query.where(BaseAliasRow.alias == alias, BaseRow.name == name)
    found = (await session.execute(query.with_for_update() if lock else query)).first()
    if found is None:
        raise NotFound(f"no base named {name[:60]!r} has the alias {alias[:60]!r}", code="unknown_alias", param="alias")
    row, base = found
    return Base.model_validate(base), row.revision


async def alias_revision(session: AsyncSession, alias: str) -> int | None:
    """Return the revision of an alias and hold its row until the transaction ends; None if there is no such alias."""
    return await session.scalar(select(BaseAliasRow.revision).where(BaseAliasRow.alias == alias).with_for_update())


async def aliases(session: AsyncSession) -> dict[str, str]:
    """Return alias -> base id."""
    rows = (await session.execute(select(BaseAliasRow.alias, BaseAliasRow.base_id))).all()
    return dict(rows)


async def resolve(session: AsyncSession, reference: str) -> Base:
    """Find a base by id, by alias ("default"), by digest, or by name (the newest of that name).

    Raises:
        NotFound: code `unknown_base`.
    """
    by_alias = BaseAliasRow.base_id.is_not(None)
    row = await session.scalar(
        select(BaseRow)
        .outerjoin(BaseAliasRow, and_(BaseAliasRow.base_id == BaseRow.id, BaseAliasRow.alias == reference))
        .where(or_(BaseRow.id == reference, by_alias, BaseRow.digest == reference, BaseRow.name == reference))
        .order_by(case((BaseRow.id == reference, 0), (by_alias, 1), else_=2), BaseRow.id.desc())
        .limit(1)
    )
    if row is None:
        raise NotFound(
            f"there is no base {reference[:60]!r}; list them with GET /v1/bases", code="unknown_base", param="base"
        )
    return Base.model_validate(row)


async def list_bases(session: AsyncSession, *, limit: int, after: str | None) -> tuple[list[Base], bool]:
    """Return one page of bases, newest first, and whether there are more."""
    rows, more = await page(session, select(BaseRow), BaseRow.id, limit=limit, after=after)
    return [Base.model_validate(row) for row in rows], more
