"""Drift: what edges summed of the images a version edited, held against what it was fitted on."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from heddle_adapters.drift_report import DriftView, drift_report
from heddle_api.control.page import Page, Turn, page_of
from heddle_infra.database import adapters, drift


async def list_own(
    session: AsyncSession, tenant_id: str, turn: Turn, *, adapter: str | None, window_hours: int
) -> Page[DriftView]:
    """Return one page of verdicts.

    Raises:
        InvalidInput: code `invalid_cursor`.
        NotFound: codes `unknown_adapter`, `unknown_version`, `unknown_alias`.
    """
    after = turn.after_id("ada")
    if adapter is None:
        versions, more = await drift.in_production(session, tenant_id, limit=turn.limit, after=after)
    else:
        named = await _named(session, tenant_id, adapter)
        versions, more = [named] if after is None or named[0] < after else [], False
    shown = await look(session, tenant_id, versions, window_hours=window_hours)
    return page_of(shown, more, lambda view: view.adapter_id)


async def look(
    session: AsyncSession, tenant_id: str, versions: Sequence[tuple[str, int]], *, window_hours: int
) -> list[DriftView]:
    """Judge versions of a tenant, given as (adapter id, version), in this order."""
    found = await drift.watched(session, tenant_id, versions)
    sums = await drift.sums_of(session, tenant_id, versions, hours=window_hours)
    return [drift_report(found[one], sums.get(one), window_hours) for one in versions if one in found]


async def _named(session: AsyncSession, tenant_id: str, asked: str) -> tuple[str, int]:
    reference, _, wanted = asked.partition("@")
    adapter = await adapters.resolve(session, tenant_id, reference)
    if wanted.isascii() and wanted.isdecimal():
        # the number may be larger than the column holds
        version = await adapters.version(session, tenant_id, adapter.id, min(int(wanted[:12]), 2**31 - 1))
        return adapter.id, version.version
    alias = await adapters.get_alias(session, tenant_id, adapter.id, wanted or adapters.PRODUCTION)
    return adapter.id, alias.version
