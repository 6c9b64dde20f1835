"""Rollouts as operators see them: made, read, listed, ended. Adapters are in `rollout_items`, aliases in `_moves`.

A rollout's job may end without it (its attempts used up, or cancelled while it waited); whoever reads settles that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import jobs
from heddle_infra.database.models import JobRow, TenantRow
from heddle_infra.database.paging import page
from heddle_infra.database.rollout_models import RolloutItemRow, RolloutMoveRow, RolloutRow
from heddle_platform.errors import Conflict, NotFound
from heddle_platform.ids import new_id
from heddle_platform.records import Base
from heddle_platform.rollout_records import Rollout, RolloutItem, RolloutStatus

OPEN: tuple[RolloutStatus, ...] = ("fitting", "canary")

_SETTLE = text("""
    update rollouts set status = jobs.status, finished_at = now() from jobs
    where jobs.id = rollouts.job_id and rollouts.status = 'fitting' and jobs.status in ('failed', 'cancelled')
""")
_COUNTS = text("""
    select count(*), count(outcome), count(*) filter (where outcome = 'better'),
           count(*) filter (where outcome = 'equal'), count(*) filter (where outcome = 'worse'),
           count(*) filter (where outcome = 'failed'), count(*) filter (where mapped), count(*) filter (where passed),
           count(*) filter (where moved), count(distinct tenant_id)
    from rollout_items where rollout_id = :id
""")


@dataclass(frozen=True)
class RolloutCounts:
    """How many adapters: in all, done, by outcome, mapped, that passed, whose aliases were moved; and their tenants."""

    adapters: int
    done: int
    better: int
    equal: int
    worse: int
    failed: int
    mapped: int
    passed: int
    moved: int
    tenants: int


async def create(
    session: AsyncSession,
    base: Base,
    *,
    canary_share: float,
    max_wait_seconds: int | None,
    dry_run: bool,
    tenants: Sequence[str] | None,
    key_id: str,
    promote: bool = False,
) -> Rollout:
    """Queue a rollout's job and note the rollout.

    Raises:
        Conflict: code `rollout_under_way`: another one moves aliases or waits with its canary.
    """
    await settle(session)
    rollout_id = new_id("rol")
    job = await jobs.create(session, None, job_type="rollout", spec={"rollout_id": rollout_id}, dataset_id=None)
    row = RolloutRow(
        id=rollout_id,
        base_id=base.id,
        base_name=base.name,
        base_digest=base.digest,
        job_id=job.id,
        canary_share=canary_share,
        max_wait_seconds=max_wait_seconds,
        dry_run=dry_run,
        promote=promote,
        tenants=None if tenants is None else list(tenants),
        key_id=key_id,
    )
    try:
        async with session.begin_nested():
            session.add(row)
            await session.flush()
    except IntegrityError:
        other = await session.scalar(
            select(RolloutRow.id).where(RolloutRow.status.in_(OPEN), RolloutRow.dry_run.is_(False))
        )
        raise Conflict(
            f"rollout {other} is under way; continue it, roll it back or cancel it first", code="rollout_under_way"
        ) from None
    await session.refresh(row)
    return Rollout.model_validate(row)


async def check_tenants(session: AsyncSession, tenants: Sequence[str]) -> None:
    """Refuse a list with an unknown tenant in it.

    Raises:
        NotFound: code `unknown_tenant`.
    """
    known = set((await session.scalars(select(TenantRow.id).where(TenantRow.id.in_(tenants)))).all())
    for tenant_id in tenants:
        if tenant_id not in known:
            raise NotFound(
                f"there is no tenant {tenant_id[:60]!r}; list them with GET /v1/admin/tenants",
                code="unknown_tenant",
                param="tenants",
            )


async def settle(session: AsyncSession) -> None:
    """End the rollouts whose job ended without them."""
    await session.execute(_SETTLE)


async def note(session: AsyncSession, rollout: Rollout) -> None:
    """Note in its job that the rows are planned: from now on the job is finished, however often it is taken."""
    await session.execute(update(JobRow).where(JobRow.id == rollout.job_id).values(result={"rollout": rollout.id}))


async def get(session: AsyncSession, rollout_id: str, *, lock: bool = False) -> Rollout:
    """Return a rollout; `lock` holds its row until the transaction ends.

    Raises:
        NotFound: code `unknown_rollout`.
    """
    query = select(RolloutRow).where(RolloutRow.id == rollout_id).execution_options(populate_existing=True)
    row = await session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(
            f"there is no rollout {rollout_id[:60]!r}; list them with GET /v1/rollouts", code="unknown_rollout"
        )
    return Rollout.model_validate(row)


async def list_rollouts(session: AsyncSession, *, limit: int, after: str | None) -> tuple[list[Rollout], bool]:
    """Return one page of rollouts, newest first."""
    rows, more = await page(session, select(RolloutRow), RolloutRow.id, limit=limit, after=after)
    return [Rollout.model_validate(row) for row in rows], more


async def counts(session: AsyncSession, rollout_id: str) -> RolloutCounts:
    """Count a rollout's adapters."""
    return RolloutCounts(*(await session.execute(_COUNTS, {"id": rollout_id})).one())


async def items(session: AsyncSession, rollout_id: str) -> list[RolloutItem]:
    """Return all adapters of a rollout, by tenant and name."""
    rows = await session.scalars(
        select(RolloutItemRow)
        .where(RolloutItemRow.rollout_id == rollout_id)
        .order_by(RolloutItemRow.tenant_id, RolloutItemRow.adapter_name, RolloutItemRow.from_version)
    )
    return [RolloutItem.model_validate(row) for row in rows.all()]


async def kept_moves(session: AsyncSession, rollout_id: str) -> int:
    """Return how many aliases a rollback left where their tenants had moved them since."""
    query = select(func.count()).where(RolloutMoveRow.rollout_id == rollout_id, RolloutMoveRow.undone == "kept")
    return int(await session.scalar(query) or 0)


async def set_status(session: AsyncSession, rollout_id: str, status: RolloutStatus, **values: Any) -> None:
    """Write a rollout's status; a final one is its end."""
    ended = {} if status in OPEN else {"finished_at": func.now()}
    await session.execute(
        update(RolloutRow).where(RolloutRow.id == rollout_id).values(status=status, **ended, **values)
    )


async def cancel(session: AsyncSession, rollout_id: str) -> Rollout:
    """Stop a rollout that is still fitting; nothing was moved yet, and what was fitted stays as versions.

    Raises:
        NotFound: code `unknown_rollout`.
        Conflict: code `rollout_not_open`.
    """
    await settle(session)
    rollout = await get(session, rollout_id, lock=True)
    if rollout.status == "cancelled":
        return rollout
    if rollout.status != "fitting":
        hint = "roll it back instead" if rollout.status in ("canary", "complete") else "there is nothing to stop"
        raise Conflict(f"rollout {rollout_id} is {rollout.status}; {hint}", code="rollout_not_open")
    await jobs.cancel(session, None, rollout.job_id)
    await settle(session)
    return await get(session, rollout_id)


async def watch_canary(session: AsyncSession, rollout: Rollout) -> None:
    """Have the canary rolled back when its time is up: a second job, due then, that does nothing if it was decided."""
    if rollout.max_wait_seconds is None:
        return
    job = await jobs.create(
        session, None, job_type="rollout", spec={"rollout_id": rollout.id, "ends_canary": True}, dataset_id=None
    )
    due = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, float(rollout.max_wait_seconds))
    await session.execute(update(JobRow).where(JobRow.id == job.id).values(not_before=due))
    await session.execute(update(RolloutRow).where(RolloutRow.id == rollout.id).values(canary_until=due))
