"""Aliases moved by a rollout, and moved back: one statement over all tenants, each move noted with what it left.

An alias moves only if it still points at the version the rollout started from; it moves back only if nobody touched it
since, which its revision tells.
"""

import math
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import rollouts
from heddle_platform.errors import Conflict
from heddle_platform.rollout_records import Rollout

# the adapter's row lock serialises moves of its aliases, as `adapters.move_alias` takes it
_LOCK = """
    select adapters.id from adapters join rollout_items items on items.adapter_id = adapters.id
    where items.rollout_id = :id and (%s) order by adapters.id for update of adapters
"""
_READY = "items.passed and not items.moved and items.to_version is not null"
_LOCK_READY = text(_LOCK % _READY)
_LOCK_MOVED = text(_LOCK % "items.moved")
_MOVE = text(f"""
    with chosen as (
        select * from rollout_items items where rollout_id = :id and {_READY} and tenant_id = any(:tenants)
    ), moving as (
        select chosen.rollout_id, chosen.adapter_id, aliases.alias, chosen.tenant_id, chosen.from_version,
               aliases.previous_version as from_previous, chosen.to_version
        from chosen join aliases
            on aliases.adapter_id = chosen.adapter_id and aliases.version = chosen.from_version
        join adapter_versions new on new.adapter_id = chosen.adapter_id and new.version = chosen.to_version
            and new.status in ('passed', 'approved')
    ), moved as (
        update aliases set version = moving.to_version, previous_version = moving.from_version,
               revision = revision + 1, updated_at = now()
        from moving where aliases.adapter_id = moving.adapter_id and aliases.alias = moving.alias
        returning aliases.adapter_id, aliases.alias, aliases.revision
    ), noted as (
        insert into rollout_moves
            (rollout_id, adapter_id, alias, tenant_id, from_version, from_previous, to_version, revision)
        select moving.rollout_id, moving.adapter_id, moving.alias, moving.tenant_id, moving.from_version,
               moving.from_previous, moving.to_version, moved.revision
        from moving join moved using (adapter_id, alias)
        returning rollout_id, adapter_id, from_version
    ), marked as (
        update rollout_items items set moved = true
        where rollout_id = :id and (adapter_id, from_version) in (select adapter_id, from_version from noted)
        returning 1
    )
    select count(*) from noted
""")  # noqa: S608  no value is pasted in
_UNMOVE = text("""
    with moves as (
        select * from rollout_moves where rollout_id = :id and undone is null
    ), back as (
        update aliases set version = moves.from_version, previous_version = moves.from_previous,
               revision = aliases.revision + 1, updated_at = now()
        from moves
        where aliases.adapter_id = moves.adapter_id and aliases.alias = moves.alias
          and aliases.version = moves.to_version and aliases.revision = moves.revision
          and exists (select 1 from adapter_versions old where old.adapter_id = moves.adapter_id
                      and old.version = moves.from_version and old.status in ('passed', 'approved'))
        returning aliases.adapter_id, aliases.alias
    ), marked as (
        update rollout_moves set undone = case when exists (
            select 1 from back where back.adapter_id = rollout_moves.adapter_id and back.alias = rollout_moves.alias
        ) then 'undone' else 'kept' end
        where rollout_id = :id and undone is null
        returning adapter_id, from_version, undone
    ), items as (
        update rollout_items set moved = false
        where rollout_id = :id and (adapter_id, from_version) in (
            select adapter_id, from_version from marked group by adapter_id, from_version
            having bool_and(undone = 'undone'))
        returning 1
    )
    select count(*) filter (where undone = 'undone'), count(*) filter (where undone = 'kept') from marked
""")
# the canary's tenants are drawn by a hash, the same whoever asks: not the oldest, not the largest
_TENANTS = text("""
    select tenant_id from rollout_items where rollout_id = :id and passed
    group by tenant_id order by md5(:id || tenant_id), tenant_id
""")


@dataclass(frozen=True)
class MovedBack:
    """Aliases that a rollback moved back, and those it left where their tenants had moved them since."""

    undone: int
    kept: int


async def move(session: AsyncSession, rollout: Rollout, reach: Literal["canary", "all"]) -> int:
    """Move the aliases of what passed: of the canary's share of tenants (at least one), or of all; twice is once.

    Returns:
        How many aliases were moved.
    """
    tenants = list((await session.scalars(_TENANTS, {"id": rollout.id})).all())
    if reach == "canary":
        tenants = tenants[: max(1, math.ceil(rollout.canary_share * len(tenants)))]
    await session.execute(_LOCK_READY, {"id": rollout.id})
    return int(await session.scalar(_MOVE, {"id": rollout.id, "tenants": tenants}) or 0)


async def go_on(session: AsyncSession, rollout_id: str) -> Rollout:
    """Move the rest after the canary.

    Raises:
        NotFound: code `unknown_rollout`.
        Conflict: code `rollout_not_in_canary`.
    """
    rollout = await rollouts.get(session, rollout_id, lock=True)
    if rollout.status == "complete":
        return rollout
    if rollout.status != "canary":
        hint = "wait until its adapters are fitted" if rollout.status == "fitting" else "start a new one"
        raise Conflict(
            f"rollout {rollout_id} is {rollout.status}, only one that waits with its canary can go on; {hint}",
            code="rollout_not_in_canary",
        )
    await move(session, rollout, "all")
    await rollouts.set_status(session, rollout_id, "complete")
    return await rollouts.get(session, rollout_id)


async def roll_back(session: AsyncSession, rollout_id: str) -> tuple[Rollout, MovedBack]:
    """Move every alias of the rollout back to where it was, unless it was moved since; twice is once.

    Raises:
        NotFound: code `unknown_rollout`.
        Conflict: code `rollout_moved_nothing`.
    """
    rollout = await rollouts.get(session, rollout_id, lock=True)
    if rollout.status == "rolled_back":
        return rollout, MovedBack(0, 0)
    if rollout.status not in ("canary", "complete"):
        hint = "cancel it" if rollout.status == "fitting" else "there is nothing to roll back"
        raise Conflict(
            f"rollout {rollout_id} is {rollout.status} and moved no alias; {hint}", code="rollout_moved_nothing"
        )
    await session.execute(_LOCK_MOVED, {"id": rollout.id})
    undone, kept = (await session.execute(_UNMOVE, {"id": rollout_id})).one()
    await rollouts.set_status(session, rollout_id, "rolled_back")
    return await rollouts.get(session, rollout_id), MovedBack(int(undone), int(kept))
