"""Who goes next: the queue's rows dealt out by `fair_share`, and the tenants' shares kept between claims.

Weights and caps come from `tenant_quotas`, where that table is; a tenant without a row there has weight 1 and no cap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import delete, not_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.arrays import among
from heddle_infra.database.fair_share import USUAL_LATENTS, USUAL_ROWS, Dealt, Line, Share, Waiting, deal
from heddle_infra.database.models import QueueShareRow
from heddle_infra.database.suspension import OF_ACTIVE_TENANT
from heddle_infra.database.walls import platform_scope

CLAIMABLE: Final = """
    (jobs.status = 'queued' and jobs.not_before <= now())
    or (jobs.status in ('running', 'scoring') and jobs.lease_expires_at < now())
"""

# An erasure bars its tenant's jobs behind it, and waits for those before it; a suspension bars all.
_FREE = f"""
    {OF_ACTIVE_TENANT} and (jobs.tenant_id not in (
        select tenant_id from jobs where type = 'erase' and status in ('queued', 'running', 'scoring'))
    or not exists (
        select 1 from jobs as other
        where other.tenant_id = jobs.tenant_id and other.id <> jobs.id and 'erase' in (jobs.type, other.type)
        and (other.status in ('running', 'scoring') or (
            other.status in ('validating', 'queued') and (other.created_at, other.id) < (jobs.created_at, jobs.id)))))
"""  # noqa: S608  no value is pasted in
# A job that was charged already, and comes back because a worker died, goes for nothing.
_WAITING = f"""
    select id, tenant, cost, free, size, priority from (
        select jobs.id, coalesce(jobs.tenant_id, '') as tenant, {_FREE} as free, jobs.priority,
               case when jobs.type = 'fit' and jobs.spec ->> 'card' = 'brief' then 1 else :whole end as size,
               min(jobs.created_at) over (partition by jobs.tenant_id) as came,
               case when jobs.cost is not null then 0
                    else coalesce(datasets.images, {USUAL_ROWS})
                         * coalesce(cast(bases.manifest ->> 'latents' as integer), {USUAL_LATENTS}) end as cost,
               row_number() over (
                   partition by jobs.tenant_id order by jobs.priority desc, jobs.created_at, jobs.id) as place
        from jobs
        left join datasets on datasets.id = jobs.dataset_id
        left join bases on bases.id = jobs.spec ->> 'base_id'
        where ({CLAIMABLE}) and %s
    ) as candidates
    where place <= :most order by came, tenant, place
"""  # noqa: S608  no value is pasted in
_RUNNING = """
    select coalesce(tenant_id, ''), count(*) from jobs
    where status in ('running', 'scoring') and lease_expires_at >= now() group by tenant_id
"""
_KEEP: Final = """
    insert into queue_shares (tenant_id, turn, deficit, visiting)
    select * from unnest(cast(:tenants as text[]), cast(:turns as bigint[]), cast(:deficits as double precision[]),
                         cast(:visiting as boolean[]))
    on conflict (tenant_id) do update set turn = excluded.turn, deficit = excluded.deficit, visiting = excluded.visiting
"""
_ALL: Final = 2**31 - 1
OPERATORS: Final = ""
THOUGHT: Final = "thought"


async def next_jobs(session: AsyncSession, limit: int, whole: int = 1) -> list[tuple[str, float]]:
    """Take the next jobs in turn, charge their tenants and note whose turn it is.

    The caller holds the lock on claims, and leases what is returned: (job id, what it costs). A job takes `whole` of
    the limit, a fit with a brief card 1.
    """
    # one more than can be taken, so that a tenant with more is told from one with none left
    waiting, cost = await _waiting(session, _WAITING % _FREE, limit + 1, whole)
    if not waiting:
        await session.execute(delete(QueueShareRow))
        return []
    dealt = deal(waiting, await _shares(session, waiting, capped=True), limit)
    await _keep(session, dealt)
    return [(job_id, cost[job_id]) for job_id in dealt.job_ids]


async def in_order(session: AsyncSession, *, thought: tuple[str, float] | None = None) -> list[tuple[str, float]]:
    """Return all waiting jobs, whoever's, in the order in which they would go if nothing else came, with their costs.

    Jobs that a barrier holds come last; caps are left out of it, for they say nothing of who is next.

    Args:
        session: open session.
        thought: (tenant, cost) of a job that is only thought of; it is listed as `THOUGHT`, behind its tenant's own.
    """
    return (await dealt_out(session, thought=thought)).order


@dataclass(frozen=True)
class DealtOut:
    """The queue at one moment: `order` as of `in_order`, its free jobs in `line`, and tenants with `barred` ones."""

    order: list[tuple[str, float]]
    line: Line
    barred: frozenset[str]

    def join(self, tenant: str, job: Waiting) -> tuple[int, float] | None:
        """Put a job that came last behind the others; see `Line.join`. None, too, where a barrier holds its tenant."""
        return None if tenant in self.barred else self.line.join(tenant, job)


async def dealt_out(session: AsyncSession, *, thought: tuple[str, float] | None = None) -> DealtOut:
    """Deal the whole queue out; arguments as of `in_order`."""
    async with platform_scope(session):
        waiting, cost = await _waiting(session, _WAITING % "true", _ALL)
        if thought is not None:
            waiting.setdefault(thought[0], []).append(Waiting(THOUGHT, thought[1]))
            cost[THOUGHT] = thought[1]
        shares = await _shares(session, waiting, capped=False)
    barred = {job.job_id: tenant for tenant, jobs in waiting.items() for job in jobs if job.job_id not in cost}
    free = {tenant: [job for job in jobs if job.job_id not in barred] for tenant, jobs in waiting.items()}
    line = Line(free, shares)
    order = [(job_id, cost.get(job_id, 0.0)) for job_id in (*line.job_ids, *barred)]
    return DealtOut(order, line, frozenset(barred.values()))


async def _waiting(
    session: AsyncSession, query: str, most: int, whole: int = 1
) -> tuple[dict[str, list[Waiting]], dict[str, float]]:
    """Return tenant -> waiting jobs in the tenant's own order, and the cost of those that are free to go."""
    rows = (await session.execute(text(query), {"most": most, "whole": whole})).all()
    waiting: dict[str, list[Waiting]] = {}
    cost = {}
    for job_id, tenant, charge, free, size, priority in rows:
        waiting.setdefault(tenant, []).append(Waiting(job_id, float(charge), size, priority))
        if free:
            cost[job_id] = float(charge)
    return waiting, cost


async def _shares(session: AsyncSession, tenants: Mapping[str, Sequence[Waiting]], *, capped: bool) -> dict[str, Share]:
    rows = await session.scalars(select(QueueShareRow).where(among(QueueShareRow.tenant_id, tenants)))
    shares = {row.tenant_id: Share(1.0, row.turn, row.deficit, row.visiting) for row in rows.all()}
    running = {row[0]: row[1] for row in (await session.execute(text(_RUNNING))).all()} if capped else {}
    quotas = "select tenant_id, weight, running_jobs from tenant_quotas where tenant_id = any(:tenants)"
    for tenant, weight, cap in (await session.execute(text(quotas), {"tenants": list(tenants)})).all():
        room = max(0, cap - running.get(tenant, 0)) if capped and cap is not None else None
        shares[tenant] = replace(shares.get(tenant, Share()), weight=float(weight), room=room)
    return shares


async def _keep(session: AsyncSession, dealt: Dealt) -> None:
    await session.execute(delete(QueueShareRow).where(not_(among(QueueShareRow.tenant_id, dealt.shares))))
    if not dealt.shares:
        return
    shares = dealt.shares.values()
    told = {
        "tenants": list(dealt.shares),
        "turns": [share.turn for share in shares],
        "deficits": [share.deficit for share in shares],
        "visiting": [share.visiting for share in shares],
    }
    await session.execute(text(_KEEP), told)
