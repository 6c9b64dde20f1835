"""New versions: what a fit found becomes the next version of an adapter, once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.models import AdapterVersionRow
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


_COPIED: Final = tuple(field.name for field in fields(NewVersion) if field.name != "adapter_name")


@dataclass(frozen=True)
class Addition:
    """A version to be added.

    Attributes:
        tenant_id: owner.
        job_id: the job that fitted it.
        new: what it fitted.
        replaces: the version this one takes the place of.
        status: where it stands with the gate; None: where the verdict puts it.
    """

    tenant_id: str
    job_id: str
    new: NewVersion
    replaces: int | None = None
    status: VersionStatus | None = None


# the update changes nothing: it holds the rows, so that the next statement sees every version before these; in one
# order, so that two who add several never wait for each other in a ring
_ADAPTERS: Final = """
    insert into adapters (id, tenant_id, name)
    select id, tenant_id, name
    from jsonb_to_recordset(cast(:rows as jsonb)) as named (id text, tenant_id text, name text)
    order by tenant_id, name
    on conflict (tenant_id, name) do update set name = excluded.name returning id, tenant_id, name
"""
_COLUMNS: Final = """
    tenant_id, job_id, replaces, status, digest, base_id, base_digest, factor_set_id, factor_set_version, dataset_id,
    verdict, gate, card, files
"""
_VERSIONS: Final = f"""
    insert into adapter_versions (adapter_id, version, {_COLUMNS})
    select adapter_id, row_number() over (partition by adapter_id order by place) + coalesce(
            (select max(version) from adapter_versions as before where before.adapter_id = added.adapter_id), 0),
        {_COLUMNS}
    from jsonb_to_recordset(cast(:rows as jsonb)) as added (
        place integer, adapter_id text, tenant_id text, job_id text, replaces integer, status text, digest text,
        base_id text, base_digest text, factor_set_id text, factor_set_version integer, dataset_id text,
        verdict text, gate jsonb, card jsonb, files jsonb)
    returning adapter_id, version
"""  # noqa: S608  no value is pasted in


async def add_versions(session: AsyncSession, additions: Sequence[Addition]) -> list[tuple[str, int]]:
    """Add the versions that jobs fitted; a unique constraint makes a second one of a job impossible.

    The caller holds the jobs' fences in the same transaction. As many statements as for one.

    Returns:
        (adapter id, version) of each.
    """
    wanted = dict.fromkeys((one.tenant_id, one.new.adapter_name) for one in additions)
    named = [{"id": new_id("ada"), "tenant_id": tenant, "name": name} for tenant, name in wanted]
    found = (await session.execute(text(_ADAPTERS), {"rows": json.dumps(named)})).all()
    adapter_ids = {(tenant, name): adapter_id for adapter_id, tenant, name in found}
    rows = [
        {
            **{name: getattr(one.new, name) for name in _COPIED},
            "place": place,
            "adapter_id": adapter_ids[one.tenant_id, one.new.adapter_name],
            "tenant_id": one.tenant_id,
            "job_id": one.job_id,
            "replaces": one.replaces,
            "status": one.status or STATUS_OF_VERDICT[one.new.verdict],
        }
        for place, one in enumerate(additions)
    ]
    added = (await session.execute(text(_VERSIONS), {"rows": json.dumps(rows)})).all()
    # of one adapter the numbers ascend with the places
    numbers: dict[str, list[int]] = {}
    for adapter_id, number in sorted(added):
        numbers.setdefault(adapter_id, []).append(number)
    return [(row["adapter_id"], numbers[row["adapter_id"]].pop(0)) for row in rows]


async def add_version(
    session: AsyncSession,
    tenant_id: str,
    job_id: str,
    new: NewVersion,
    *,
    replaces: int | None = None,
    status: VersionStatus | None = None,
) -> AdapterVersion:
    """Add one version and return it; see `add_versions`."""
    [(adapter_id, number)] = await add_versions(session, [Addition(tenant_id, job_id, new, replaces, status)])
    row = await session.get_one(AdapterVersionRow, (adapter_id, number))
    return AdapterVersion.model_validate(row)
