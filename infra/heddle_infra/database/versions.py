"""New versions: what a fit found becomes the next version of an adapter, once."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.models import AdapterRow, AdapterVersionRow
from heddle_platform.ids import new_id
from heddle_platform.records import AdapterVersion, GateVerdict, VersionStatus

STATUS_OF_VERDICT: dict[GateVerdict, VersionStatus] = {
    "pass": "passed",
    "needs_approval": "awaiting_approval",
    "fail": "refused",
}


@dataclass(frozen=True)
class NewVersion:
    """What a fit found, its files being in the object store already under `digest`."""

    adapter_name: str
    digest: str
    base_id: str
    base_digest: str
    factor_set_id: str
    factor_set_version: int
    dataset_id: str
    verdict: GateVerdict
    gate: dict[str, Any]
    card: dict[str, Any]
    files: dict[str, str]


async def add_version(
    session: AsyncSession,
    tenant_id: str,
    job_id: str,
    new: NewVersion,
    *,
    replaces: int | None = None,
    status: VersionStatus | None = None,
) -> AdapterVersion:
    """Add the version a job fitted; a unique constraint makes a second one impossible.

    The caller holds the job's fence in the same transaction.

    Args:
        session: open session.
        tenant_id: owner.
        job_id: the job.
        new: what it fitted.
        replaces: the version this one takes the place of.
        status: where it stands with the gate; None: where the verdict puts it.
    """
    named = insert(AdapterRow).values(id=new_id("ada"), tenant_id=tenant_id, name=new.adapter_name)
    # the update changes nothing: it holds the row, so that the next statement sees every version before this one
    adapter_id = await session.scalar(
        named.on_conflict_do_update(
            index_elements=[AdapterRow.tenant_id, AdapterRow.name], set_={"name": named.excluded.name}
        ).returning(AdapterRow.id)
    )
    latest = (
        select(func.coalesce(func.max(AdapterVersionRow.version), 0))
        .where(AdapterVersionRow.adapter_id == adapter_id)
        .scalar_subquery()
    )
    row = await session.scalar(
        insert(AdapterVersionRow)
        .values(
            adapter_id=adapter_id,
            version=latest + 1,
            tenant_id=tenant_id,
            job_id=job_id,
            status=status or STATUS_OF_VERDICT[new.verdict],
            replaces=replaces,
            **{name: getattr(new, name) for name in _COPIED},
        )
        .returning(AdapterVersionRow)
    )
    return AdapterVersion.model_validate(row)


_COPIED = (
    "digest",
    "base_id",
    "base_digest",
    "factor_set_id",
    "factor_set_version",
    "dataset_id",
    "verdict",
    "gate",
    "card",
    "files",
)
