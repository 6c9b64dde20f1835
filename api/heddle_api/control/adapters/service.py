"""Adapters: what a tenant's fits made, and decisions on them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.auth import Principal
from heddle_api.control.datasets.service import FactorSetRef
from heddle_api.control.once import Reply
from heddle_api.control.page import Page, Turn, page_of
from heddle_api.control.wire import Asked
from heddle_infra.database import adapters
from heddle_infra.database.referred import current
from heddle_platform.records import Adapter, AdapterVersion, Alias, GateVerdict, VersionStatus


class AdapterView(BaseModel):
    """An adapter with its aliases."""

    id: str
    name: str
    aliases: dict[str, int] = Field(description="Alias to version.")
    latest_version: int | None
    created_at: datetime


class VersionView(BaseModel):
    """One fitted version; its files never change."""

    adapter: str = Field(description="Name of the adapter.")
    adapter_id: str
    version: int
    status: VersionStatus
    verdict: GateVerdict = Field(description="What the quality gate said.")
    gate: dict[str, Any] = Field(
        description="The gate's checks and reasons, whole and by factor, and against production."
    )
    digest: str = Field(description="SHA-256 of adapter.npz.")
    base: dict[str, str]
    factor_set: FactorSetRef
    dataset: str
    job: str
    files: dict[str, str] = Field(description="File to its SHA-256.")
    aliases: list[str] = Field(description="Aliases that point here.")
    replaces: int | None = Field(
        description="The version that was erased, or was on another base, and this one was fitted in place of."
    )
    replaced_by: int | None = Field(description="Of an erased version: the one fitted in place of it.")
    created_at: datetime


class Decision(Asked):
    """A person's decision on a version."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"decision": "approve", "comment": "hat is refused, we can live with it"}]},
    )
    decision: Literal["approve", "reject"]
    comment: str = Field("", max_length=2_000)


class DecisionView(BaseModel):
    """A decision and what came of it."""

    adapter: str
    version: int
    decision: Literal["approve", "reject"]
    comment: str
    key_id: str = Field(description="The key that decided.")
    status: VersionStatus = Field(description="Where the version stands now.")
    created_at: datetime


async def view(session: AsyncSession, adapter: Adapter) -> AdapterView:
    """Return an adapter with its aliases and its newest version's number."""
    aliases = await adapters.list_aliases(session, adapter.tenant_id, adapter.id)
    newest, _ = await adapters.list_versions(session, adapter.tenant_id, adapter.id, limit=1, after=None)
    return AdapterView(
        id=adapter.id,
        name=adapter.name,
        aliases={alias.alias: alias.version for alias in aliases},
        latest_version=newest[0].version if newest else None,
        created_at=adapter.created_at,
    )


def version_view(adapter: Adapter, version: AdapterVersion, aliases: list[Alias]) -> VersionView:
    """Return what is shown of a version; its card has a route of its own."""
    return VersionView(
        adapter=adapter.name,
        base={"id": version.base_id, "digest": version.base_digest},
        factor_set=FactorSetRef(id=version.factor_set_id, version=version.factor_set_version),
        dataset=version.dataset_id,
        job=version.job_id,
        aliases=[alias.alias for alias in aliases if alias.version == version.version],
        **version.model_dump(
            include={
                *("adapter_id", "version", "status", "verdict", "gate", "digest", "files", "created_at"),
                *("replaces", "replaced_by"),
            }
        ),
    )


async def list_own(session: AsyncSession, tenant_id: str, turn: Turn) -> Page[AdapterView]:
    """Return one page of the tenant's adapters."""
    found, more = await adapters.list_adapters(session, tenant_id, limit=turn.limit, after=turn.after_id("ada"))
    shown = [await view(session, adapter) for adapter in found]
    return page_of(shown, more, lambda adapter: adapter.id)


async def list_versions(session: AsyncSession, tenant_id: str, reference: str, turn: Turn) -> Page[VersionView]:
    """Return one page of an adapter's versions."""
    adapter = await adapters.resolve(session, tenant_id, reference)
    aliases = await adapters.list_aliases(session, tenant_id, adapter.id)
    found, more = await adapters.list_versions(
        session, tenant_id, adapter.id, limit=turn.limit, after=turn.after_number()
    )
    shown = [version_view(adapter, version, aliases) for version in found]
    return page_of(shown, more, lambda version: str(version.version))


async def read_version(session: AsyncSession, tenant_id: str, reference: str, number: int) -> VersionView:
    """Return one version."""
    adapter = await adapters.resolve(session, tenant_id, reference)
    version = await adapters.version(session, tenant_id, adapter.id, number)
    return version_view(adapter, version, await adapters.list_aliases(session, tenant_id, adapter.id))


async def find_version(
    session: AsyncSession, tenant_id: str, reference: str, number: int | None
) -> tuple[Adapter, AdapterVersion]:
    """Return a version; without a number the one in production, else the newest.

    Raises:
        NotFound: codes `unknown_adapter`, `unknown_version`.
    """
    adapter = await adapters.resolve(session, tenant_id, reference)
    if number is None:
        return adapter, await current(session, adapter)
    return adapter, await adapters.version(session, tenant_id, adapter.id, number)


async def decide(session: AsyncSession, caller: Principal, reference: str, number: int, wanted: Decision) -> Reply:
    """Note a decision; an approval moves `production` to the version.

    Raises:
        NotFound: codes `unknown_adapter`, `unknown_version`.
        Conflict: codes `gate_failed`, `already_decided`.
    """
    adapter = await adapters.resolve(session, caller.tenant, reference)
    approval, version = await adapters.decide(
        session,
        caller.tenant,
        adapter.id,
        number,
        decision=wanted.decision,
        comment=wanted.comment,
        key_id=caller.key_id,
    )
    shown = DecisionView(adapter=adapter.name, status=version.status, **vars(approval))
    return Reply(shown, 201, announce=f"version_{version.status}")


async def decisions(
    session: AsyncSession, tenant_id: str, reference: str, number: int, turn: Turn
) -> Page[DecisionView]:
    """Return one page of the decisions on a version, oldest first."""
    adapter, version = await find_version(session, tenant_id, reference, number)
    after, most = turn.after_number() or 0, turn.limit + 1
    made = await adapters.list_approvals(session, tenant_id, adapter.id, number, after=after, limit=most)
    shown = [DecisionView(adapter=adapter.name, status=version.status, **vars(one)) for one in made[: turn.limit]]
    return page_of(shown, len(made) > turn.limit, lambda _: str(made[turn.limit - 1].id))
