"""Adapters: their versions, decisions on them, and the aliases that serve them. `versions` adds new ones."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database import jobs, outbox
from heddle_infra.database.models import AdapterRow, AdapterVersionRow, AliasRow, ApprovalRow, JobRow
from heddle_infra.database.paging import page
from heddle_platform.errors import Conflict, NotFound, PreconditionFailed, PreconditionRequired
from heddle_platform.ids import is_id
from heddle_platform.records import Adapter, AdapterVersion, Alias, Approval, JobError, VersionStatus

PRODUCTION = "production"
SERVABLE: tuple[VersionStatus, ...] = ("passed", "approved")


@dataclass(frozen=True)
class Trial:
    """Versions on trial beside an alias's own: `canary` edits a share `weight` of all images in its place, `shadow`
    draws every edit too and answers none."""

    canary: int | None = None
    weight: float = 0.0
    shadow: int | None = None


NO_TRIAL = Trial()


async def resolve(session: AsyncSession, tenant_id: str, reference: str) -> Adapter:
    """Find an adapter of the tenant by id or name.

    Raises:
        NotFound: code `unknown_adapter`.
    """
    column = AdapterRow.id if is_id(reference, "ada") else AdapterRow.name
    row = await session.scalar(select(AdapterRow).where(AdapterRow.tenant_id == tenant_id, column == reference))
    if row is None:
        sentence = f"there is no adapter {reference[:80]!r}; list them with GET /v1/adapters"
        raise NotFound(sentence, code="unknown_adapter", param="adapter")
    return Adapter.model_validate(row)


async def list_adapters(
    session: AsyncSession, tenant_id: str, *, limit: int, after: str | None
) -> tuple[list[Adapter], bool]:
    """Return one page of the tenant's adapters, newest first, and whether there are more."""
    query = select(AdapterRow).where(AdapterRow.tenant_id == tenant_id)
    rows, more = await page(session, query, AdapterRow.id, limit=limit, after=after)
    return [Adapter.model_validate(row) for row in rows], more


async def list_versions(
    session: AsyncSession, tenant_id: str, adapter_id: str, *, limit: int, after: int | None
) -> tuple[list[AdapterVersion], bool]:
    """Return one page of an adapter's versions, newest first, and whether there are more."""
    query = select(AdapterVersionRow).where(
        AdapterVersionRow.tenant_id == tenant_id, AdapterVersionRow.adapter_id == adapter_id
    )
    rows, more = await page(session, query, AdapterVersionRow.version, limit=limit, after=after)
    return [AdapterVersion.model_validate(row) for row in rows], more


async def version(
    session: AsyncSession, tenant_id: str, adapter_id: str, number: int, *, lock: bool = False
) -> AdapterVersion:
    """Return one version; `lock` holds its row until the transaction ends.

    Raises:
        NotFound: code `unknown_version`.
    """
    query = select(AdapterVersionRow).where(
        AdapterVersionRow.tenant_id == tenant_id,
        AdapterVersionRow.adapter_id == adapter_id,
        AdapterVersionRow.version == number,
    )
    row = await session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"the adapter has no version {number}", code="unknown_version", param="version")
    return AdapterVersion.model_validate(row)


async def decide(
    session: AsyncSession,
    tenant_id: str,
    adapter_id: str,
    number: int,
    *,
    decision: Literal["approve", "reject"],
    comment: str,
    key_id: str,
) -> tuple[Approval, AdapterVersion]:
    """Note a person's decision; an approval moves `production` to the version.

    Raises:
        NotFound: code `unknown_version`.
        Conflict: code `gate_failed` (a refused version cannot be approved), or `already_decided` (or erased).
    """
    found = await version(session, tenant_id, adapter_id, number, lock=True)
    if found.status == "refused":
        raise Conflict(
            f"version {number} failed its gate and cannot be approved: {_first_reason(found)}", code="gate_failed"
        )
    if found.status in ("approved", "rejected", "erased"):
        raise Conflict(f"version {number} is {found.status} already", code="already_decided")
    status: VersionStatus = "approved" if decision == "approve" else "rejected"
    await session.execute(
        update(AdapterVersionRow)
        .where(AdapterVersionRow.adapter_id == adapter_id, AdapterVersionRow.version == number)
        .values(status=status)
    )
    row = ApprovalRow(
        adapter_id=adapter_id, version=number, tenant_id=tenant_id, decision=decision, comment=comment, key_id=key_id
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    approval = Approval.model_validate(row)
    await _close_waiting_job(session, found.job_id, decision, comment)
    if decision == "approve":
        await move_alias(session, tenant_id, adapter_id, PRODUCTION, number, if_match=None, checked=False)
    session.expire_all()
    return approval, await version(session, tenant_id, adapter_id, number)


async def list_approvals(
    session: AsyncSession, tenant_id: str, adapter_id: str, number: int, *, after: int, limit: int
) -> list[Approval]:
    """Return the decisions on a version with ids above `after`, oldest first.

    Raises:
        NotFound: code `unknown_version`.
    """
    await version(session, tenant_id, adapter_id, number)
    rows = await session.scalars(
        select(ApprovalRow)
        .where(ApprovalRow.tenant_id == tenant_id, ApprovalRow.adapter_id == adapter_id, ApprovalRow.version == number)
        .where(ApprovalRow.id > after)
        .order_by(ApprovalRow.id)
        .limit(limit)
    )
    return [Approval.model_validate(row) for row in rows]


def _first_reason(found: AdapterVersion) -> str:
    reasons = found.gate.get("reasons") or ["see its card"]
    return str(reasons[0])


async def _close_waiting_job(session: AsyncSession, job_id: str, decision: str, comment: str) -> None:
    status = await session.scalar(select(JobRow.status).where(JobRow.id == job_id).with_for_update())
    if status != "awaiting_approval":
        return
    if decision == "approve":
        await jobs.close(session, job_id, status="succeeded")
    else:
        message = f"a reviewer rejected the version: {comment}" if comment else "a reviewer rejected the version"
        await jobs.close(session, job_id, status="failed", error=JobError(code="rejected", message=message))


async def get_alias(session: AsyncSession, tenant_id: str, adapter_id: str, alias: str) -> Alias:
    """Return an alias.

    Raises:
        NotFound: code `unknown_alias`.
    """
    row = await session.scalar(
        select(AliasRow).where(
            AliasRow.tenant_id == tenant_id, AliasRow.adapter_id == adapter_id, AliasRow.alias == alias
        )
    )
    if row is None:
        raise NotFound(f"the adapter has no alias {alias[:60]!r}", code="unknown_alias", param="alias")
    return Alias.model_validate(row)


async def list_aliases(session: AsyncSession, tenant_id: str, adapter_id: str) -> list[Alias]:
    """Return all aliases of an adapter, by name."""
    rows = await session.scalars(
        select(AliasRow)
        .where(AliasRow.tenant_id == tenant_id, AliasRow.adapter_id == adapter_id)
        .order_by(AliasRow.alias)
    )
    return [Alias.model_validate(row) for row in rows.all()]


async def move_alias(
    session: AsyncSession,
    tenant_id: str,
    adapter_id: str,
    alias: str,
    number: int,
    *,
    if_match: int | None,
    checked: bool = True,
    trial: Trial = NO_TRIAL,
) -> Alias:
    """Point an alias at a version; pointing it where it points already changes nothing.

    What is on trial beside it is set as well: a move without a trial ends the one before.

    Args:
        session: open session.
        tenant_id: owner.
        adapter_id: the adapter.
        alias: name of the alias, made if it is new.
        number: version it shall point at.
        if_match: revision the caller saw, or None.
        checked: whether an existing alias may only be moved with `if_match`.
        trial: versions on trial beside it.

    Raises:
        NotFound: code `unknown_version`.
        Conflict: code `version_not_servable`.
        PreconditionRequired: the alias exists and `if_match` is None.
        PreconditionFailed: the alias changed since.
    """
    for wanted, param in ((number, "version"), (trial.canary, "canary/version"), (trial.shadow, "shadow")):
        if wanted is not None:
            await _check_servable(session, tenant_id, adapter_id, wanted, param)
    # the adapter's row lock serialises moves, of an alias that does not exist yet as well
    await session.execute(select(AdapterRow.id).where(AdapterRow.id == adapter_id).with_for_update())
    row = await session.get(AliasRow, (adapter_id, alias), populate_existing=True)
    if row is None:
        if if_match is not None:
            raise PreconditionFailed(f"there is no alias {alias!r} yet; leave If-Match out to make it")
        row = AliasRow(adapter_id=adapter_id, alias=alias, tenant_id=tenant_id, version=number)
        _put_on_trial(row, trial)
        session.add(row)
    else:
        if if_match is not None and if_match != row.revision:
            raise PreconditionFailed(f"alias {alias!r} is at revision {row.revision}, If-Match says {if_match}")
        if row.version == number and _trial_of(row) == trial:
            return Alias.model_validate(row)
        if checked and if_match is None:
            raise PreconditionRequired(
                f'alias {alias!r} exists; send If-Match: "{row.revision}", the ETag you read it with'
            )
        if row.version != number:
            row.previous_version, row.version = row.version, number
        _put_on_trial(row, trial)
        row.revision += 1
        row.updated_at = func.now()
    await session.flush()
    await session.refresh(row)
    moved = Alias.model_validate(row)
    await outbox.alias_moved(session, tenant_id, moved)
    return moved


async def roll_back(session: AsyncSession, tenant_id: str, adapter_id: str, alias: str) -> Alias:
    """Point an alias at the version it pointed at before; where a canary runs, only the trial ends.

    Raises:
        NotFound: code `unknown_alias`.
        Conflict: code `nothing_to_roll_back`.
    """
    found = await get_alias(session, tenant_id, adapter_id, alias)
    if found.canary_version is not None:
        return await move_alias(session, tenant_id, adapter_id, alias, found.version, if_match=None, checked=False)
    if found.previous_version is None:
        raise Conflict(
            f"alias {alias!r} has pointed at version {found.version} only", code="nothing_to_roll_back", param="alias"
        )
    return await move_alias(session, tenant_id, adapter_id, alias, found.previous_version, if_match=None, checked=False)


async def _check_servable(session: AsyncSession, tenant_id: str, adapter_id: str, number: int, param: str) -> None:
    target = await version(session, tenant_id, adapter_id, number)
    if target.status not in SERVABLE:
        raise Conflict(
            f"version {number} is {target.status}; only a version that passed or was approved can be served",
            code="version_not_servable",
            param=param,
        )


def _trial_of(row: AliasRow) -> Trial:
    return Trial(row.canary_version, row.canary_weight or 0.0, row.shadow_version)


def _put_on_trial(row: AliasRow, trial: Trial) -> None:
    row.canary_version, row.shadow_version = trial.canary, trial.shadow
    row.canary_weight = trial.weight if trial.canary is not None else None
