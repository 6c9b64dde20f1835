"""Aliases moved by a rollout, and moved back: each by `adapters.move_alias`, so that webhooks and the trail tell of it.

An alias moves only if it still points at the version the rollout started from, and no trial of its tenant runs on it: a
canary or a shadow is the tenant's own question, which a version changed under it would spoil, and the rollout leaves
that alias alone. It moves back only if nobody touched it since, which its revision tells.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import adapters, audit, bases, rollouts
from heddle_infra.database.alias_moves import Cause
from heddle_infra.database.models import AliasRow
from heddle_infra.database.rollout_models import RolloutMoveRow
from heddle_platform.digest import json_digest
from heddle_platform.errors import Conflict
from heddle_platform.records import Alias
from heddle_platform.rollout_records import Rollout

DEFAULT: Final = "default"

_READY = text("""
    select items.tenant_id, items.adapter_id, aliases.alias, items.from_version, items.to_version,
           aliases.previous_version
    from rollout_items items
    join aliases on aliases.adapter_id = items.adapter_id and aliases.version = items.from_version
    join adapter_versions new on new.adapter_id = items.adapter_id and new.version = items.to_version
        and new.status in ('passed', 'approved')
    where items.rollout_id = :id and items.passed and items.tenant_id = any(:tenants)
      and aliases.canary_version is null and aliases.shadow_version is null
    order by items.tenant_id, items.adapter_id, aliases.alias
""")
_ON_TRIAL = text("""
    update rollout_items items set reasons = array_append(array_remove(reasons, :reason), :reason)
    from aliases where items.rollout_id = :id and items.passed and items.tenant_id = any(:tenants)
      and aliases.adapter_id = items.adapter_id and aliases.version = items.from_version
      and (aliases.canary_version is not null or aliases.shadow_version is not null)
""")
ON_TRIAL: Final = (
    "an alias stayed where it is, for its tenant has a canary or a shadow on trial there; end the trial and start a "
    "rollout again, or move the alias to the new version"
)
_MARK = text("""
    update rollout_items items set moved = exists (
        select 1 from rollout_moves moves where moves.rollout_id = items.rollout_id
        and moves.adapter_id = items.adapter_id and moves.from_version = items.from_version
        and moves.undone is distinct from 'undone')
    where rollout_id = :id
""")
# who takes aliases of many adapters takes their locks in one order, as `adapters.move_alias` takes each
_LOCK = text("select id from adapters where id = any(:ids) order by id for update")
_SERVABLE = text("""
    select 1 from adapter_versions where adapter_id = :adapter and version = :version
    and status in ('passed', 'approved')
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
    asked = {"id": rollout.id, "tenants": tenants}
    ids = {row.adapter_id for row in (await session.execute(_READY, asked)).all()}
    await session.execute(_LOCK, {"ids": list(ids)})
    ready = [row for row in (await session.execute(_READY, asked)).all() if row.adapter_id in ids]
    for row in ready:
        cause = Cause("rollout", rollout.key_id, rollout.id)
        moved = await _point(session, cause, row.tenant_id, row.adapter_id, row.alias, row.to_version)
        session.add(
            RolloutMoveRow(
                rollout_id=rollout.id,
                adapter_id=row.adapter_id,
                alias=row.alias,
                tenant_id=row.tenant_id,
                from_version=row.from_version,
                from_previous=row.previous_version,
                to_version=row.to_version,
                revision=moved.revision,
            )
        )
    await session.flush()
    await session.execute(_MARK, {"id": rollout.id})
    await session.execute(_ON_TRIAL, {**asked, "reason": ON_TRIAL})
    return len(ready)


async def _point(
    session: AsyncSession, cause: Cause, tenant_id: str, adapter_id: str, alias: str, version: int
) -> Alias:
    """Move one alias as anybody would, and leave an event in its tenant's trail in the operator's name."""
    before = await adapters.get_alias(session, tenant_id, adapter_id, alias)
    after = await adapters.move_alias(
        session, tenant_id, adapter_id, alias, version, if_match=None, checked=False, cause=cause
    )
    await audit.record(
        session,
        tenant_id,
        actor="operator",
        key_id=cause.key_id or "",
        action="rollout_moved_alias",
        target=f"{cause.comment} /v1/adapters/{adapter_id}/aliases/{alias} to version {version}",
        request_id=None,
        before=json_digest(before.model_dump(mode="json")),
        after=json_digest(after.model_dump(mode="json")),
    )
    return after


async def complete(session: AsyncSession, rollout: Rollout) -> None:
    """Move all that passed, and the alias `default` to the base where that was asked for; the rollout is over then."""
    await move(session, rollout, "all")
    noted: dict[str, object] = {}
    if rollout.promote:
        before = (await bases.aliases(session)).get(DEFAULT)
        if before != rollout.base_id:
            await bases.set_alias(session, DEFAULT, rollout.base_id)
            noted = {"promoted_from": before, "promoted_revision": await bases.alias_revision(session, DEFAULT)}
    await rollouts.set_status(session, rollout.id, "complete", **noted)


async def _demote(session: AsyncSession, rollout: Rollout) -> None:
    """Point `default` back at the base it was at, unless somebody moved it since."""
    if rollout.promoted_from is None or rollout.promoted_revision is None:
        return
    if await bases.alias_revision(session, DEFAULT) == rollout.promoted_revision:
        await bases.set_alias(session, DEFAULT, rollout.promoted_from)


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
    await complete(session, rollout)
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
    back = MovedBack(0, 0)
    query = select(RolloutMoveRow).where(RolloutMoveRow.rollout_id == rollout.id, RolloutMoveRow.undone.is_(None))
    query = query.order_by(RolloutMoveRow.tenant_id, RolloutMoveRow.adapter_id, RolloutMoveRow.alias)
    moves = (await session.scalars(query)).all()
    await session.execute(_LOCK, {"ids": list({one.adapter_id for one in moves})})
    for one in moves:
        undone = await _undo(session, rollout, one)
        one.undone = "undone" if undone else "kept"
        back = MovedBack(back.undone + undone, back.kept + (not undone))
    await session.flush()
    await session.execute(_MARK, {"id": rollout.id})
    await _demote(session, rollout)
    await rollouts.set_status(session, rollout_id, "rolled_back")
    return await rollouts.get(session, rollout_id), back


async def _undo(session: AsyncSession, rollout: Rollout, one: RolloutMoveRow) -> bool:
    row = await session.get(AliasRow, (one.adapter_id, one.alias), populate_existing=True)
    if row is None or (row.version, row.revision) != (one.to_version, one.revision):
        return False
    if not await session.scalar(_SERVABLE, {"adapter": one.adapter_id, "version": one.from_version}):
        return False
    cause = Cause("rollout_undone", rollout.key_id, rollout.id)
    await _point(session, cause, one.tenant_id, one.adapter_id, one.alias, one.from_version)
    row.previous_version = one.from_previous  # exactly where it was: its own rollback leads where it led before
    return True
