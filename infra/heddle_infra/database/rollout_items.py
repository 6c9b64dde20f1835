"""The work of a rollout, row by row: what is served on other bases, what is still to be done, and what became of it.

Every outcome is written once: the caller holds the job's fence, the row is locked and must be open, and a version is
only added together with it. An erasure of the tenant that ran since the rows were read voids the outcome: it may know
images that must not be known any more. It is told by the tenant's epoch, which every erasure raises, and by the claim's
lock, without which no erasure starts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import versions
from heddle_infra.database.jobs import OPERATOR_TYPES
from heddle_infra.database.models import (
    AdapterVersionRow,
    ApprovalRow,
    BaseRow,
    DatasetRow,
    FactorSetVersionRow,
    JobRow,
    TenantRow,
)
from heddle_infra.database.rollout_models import RolloutItemRow
from heddle_infra.database.versions import NewVersion
from heddle_platform.records import AdapterVersion, Base
from heddle_platform.rollout_records import Rollout, RolloutItem, RolloutOutcome

MAX_ATTEMPTS = 5

_PLAN = text("""
    insert into rollout_items (rollout_id, adapter_id, from_version, tenant_id, adapter_name, from_base_digest)
    select distinct :rollout, aliases.adapter_id, aliases.version, aliases.tenant_id, adapters.name,
                    versions.base_digest
    from aliases
    join adapters on adapters.id = aliases.adapter_id
    join adapter_versions versions
        on versions.adapter_id = aliases.adapter_id and versions.version = aliases.version
    join tenants on tenants.id = aliases.tenant_id and tenants.status = 'active'
    where versions.base_digest <> :digest and versions.status in ('passed', 'approved')
      and (cast(:tenants as varchar[]) is null or aliases.tenant_id = any(cast(:tenants as varchar[])))
    on conflict do nothing
""")
# without it an erasure could start between the look at running jobs and the commit; see `queue.claim`
_CLAIMING = text("select pg_advisory_xact_lock(hashtextextended('heddle claim', 0))")
_ERASING = text("select 1 from jobs where tenant_id = :id and type = 'erase' and status in ('running', 'scoring')")
_EXHAUSTED = text("""
    update rollout_items set outcome = 'failed', done_at = now(),
        reasons = array['it was started ' || attempts || ' times and its worker died each time; ask support']
    where rollout_id = :rollout and outcome is null and attempts >= :most
""")

Recorded = Literal["recorded", "done_before", "void"]


@dataclass(frozen=True)
class ItemMaterial:
    """All that a fit of one item needs of the database; `dataset_digest` None: its images are not named any more."""

    item: RolloutItem
    version: AdapterVersion
    old_base: Base
    epoch: int
    dataset_digest: str | None
    factor_set: dict[str, Any]


@dataclass(frozen=True)
class ItemOutcome:
    """What became of an item; `new` is None where nothing is to be stored."""

    outcome: RolloutOutcome
    passed: bool
    mapped: bool
    carried: bool
    numbers: dict[str, Any]
    reasons: Sequence[str]
    new: NewVersion | None = None


async def plan(session: AsyncSession, rollout: Rollout) -> None:
    """Write a row for every version that an alias serves on another base; twice is once."""
    tenants = None if rollout.tenants is None else list(rollout.tenants)
    await session.execute(_PLAN, {"rollout": rollout.id, "digest": rollout.base_digest, "tenants": tenants})


async def open_items(session: AsyncSession, rollout_id: str) -> list[RolloutItem]:
    """Return what is still to be done; what killed its workers too often is closed as failed."""
    await session.execute(_EXHAUSTED, {"rollout": rollout_id, "most": MAX_ATTEMPTS})
    rows = await session.scalars(
        select(RolloutItemRow)
        .where(RolloutItemRow.rollout_id == rollout_id, RolloutItemRow.outcome.is_(None))
        .order_by(RolloutItemRow.tenant_id, RolloutItemRow.adapter_id, RolloutItemRow.from_version)
    )
    return [RolloutItem.model_validate(row) for row in rows.all()]


async def begin(session: AsyncSession, rollout_id: str, chunk: Sequence[RolloutItem]) -> list[ItemMaterial]:
    """Count an attempt of each item and return what it needs; the caller holds the job's fence."""
    material = []
    for item in chunk:
        await session.execute(
            update(RolloutItemRow).where(*_is(rollout_id, item)).values(attempts=RolloutItemRow.attempts + 1)
        )
        row = (
            await session.execute(
                select(AdapterVersionRow, BaseRow, TenantRow.epoch, DatasetRow, FactorSetVersionRow.document)
                .join(BaseRow, BaseRow.id == AdapterVersionRow.base_id)
                .join(TenantRow, TenantRow.id == AdapterVersionRow.tenant_id)
                .outerjoin(DatasetRow, DatasetRow.id == AdapterVersionRow.dataset_id)
                .join(
                    FactorSetVersionRow,
                    (FactorSetVersionRow.id == AdapterVersionRow.factor_set_id)
                    & (FactorSetVersionRow.version == AdapterVersionRow.factor_set_version),
                )
                .where(AdapterVersionRow.adapter_id == item.adapter_id, AdapterVersionRow.version == item.from_version)
            )
        ).first()
        if row is None or row[0].status == "erased":
            gone = "the version was withdrawn or replaced since the rollout began; its tenant is on the newer one"
            await _close(session, rollout_id, item, ItemOutcome("failed", False, False, False, {}, [gone]), None)
            continue
        version, base, epoch, dataset, document = row
        digest = dataset.digest if dataset is not None and dataset.status == "ready" else None
        material.append(
            ItemMaterial(
                item, AdapterVersion.model_validate(version), Base.model_validate(base), epoch, digest, document
            )
        )
    return material


async def record(
    session: AsyncSession, job_id: str, rollout: Rollout, material: ItemMaterial, outcome: ItemOutcome
) -> Recorded:
    """Write an item's outcome and its version, once; the caller holds the job's fence.

    Returns:
        "void" if an erasure ran or runs since `begin`: the item stays open, and what was fitted must be made anew.
    """
    item = material.item
    await session.execute(_CLAIMING)
    row = await session.scalar(select(RolloutItemRow).where(*_is(rollout.id, item)).with_for_update())
    if row is None or row.outcome is not None:
        return "done_before"
    epoch = await session.scalar(select(TenantRow.epoch).where(TenantRow.id == item.tenant_id))
    erasing = await session.scalar(_ERASING, {"id": item.tenant_id})
    if outcome.new is not None and (epoch != material.epoch or erasing):
        return "void"
    number = None
    if outcome.new is not None:
        added = await versions.add_version(
            session,
            item.tenant_id,
            job_id,
            outcome.new,
            replaces=item.from_version,
            status="approved" if outcome.carried else None if outcome.passed else _waiting(outcome),
        )
        number = added.version
        if outcome.carried:
            session.add(_carried_approval(rollout, added, item.from_version))
    await _close(session, rollout.id, item, outcome, number)
    return "recorded"


def _waiting(outcome: ItemOutcome) -> Literal["refused", "awaiting_approval"]:
    """What did not pass the rollout's gate is not servable without a person, whatever its own gate says."""
    return "refused" if outcome.new is not None and outcome.new.verdict == "fail" else "awaiting_approval"


def _carried_approval(rollout: Rollout, new: AdapterVersion, before: int) -> ApprovalRow:
    return ApprovalRow(
        adapter_id=new.adapter_id,
        version=new.version,
        tenant_id=new.tenant_id,
        decision="approve",
        comment=f"carried over from version {before} by rollout {rollout.id}",
        key_id=rollout.key_id,
    )


async def _close(
    session: AsyncSession, rollout_id: str, item: RolloutItem, outcome: ItemOutcome, number: int | None
) -> None:
    await session.execute(
        update(RolloutItemRow)
        .where(*_is(rollout_id, item))
        .values(
            outcome=outcome.outcome,
            passed=outcome.passed,
            mapped=outcome.mapped,
            numbers=outcome.numbers,
            reasons=list(outcome.reasons),
            to_version=number,
            done_at=func.now(),
        )
    )


def _is(rollout_id: str, item: RolloutItem) -> tuple[Any, ...]:
    return (
        RolloutItemRow.rollout_id == rollout_id,
        RolloutItemRow.adapter_id == item.adapter_id,
        RolloutItemRow.from_version == item.from_version,
    )


async def others_wait(session: AsyncSession) -> bool:
    """Tell whether a job of a tenant's wants to run."""
    query = select(JobRow.id).where(
        JobRow.type.not_in(("rollout", *OPERATOR_TYPES)), JobRow.status.in_(("queued", "running", "scoring"))
    )
    return await session.scalar(query.limit(1)) is not None
