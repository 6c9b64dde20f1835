"""Production: a fitted version held against the one that is served, before it is written."""

from dataclasses import replace
from typing import Any

import structlog
from pydantic import ValidationError

from heddle_adapters.gate import Verdict
from heddle_adapters.gate_compare import compare
from heddle_adapters.report import Card
from heddle_infra.database import adapters
from heddle_infra.database.engine import Database
from heddle_platform.errors import NotFound
from heddle_platform.records import AdapterVersion
from heddle_workers.fitted import Fitted

log = structlog.get_logger()


async def against_production(database: Database, tenant_id: str, adapter: str, fitted: Fitted) -> Fitted:
    """Return what was fitted with its gate held against the version `production` points at; as it is without one.

    The files stay as they were drawn: they depend on the data alone, production is a matter of the day.
    """
    served = await _production(database, tenant_id, adapter)
    if served is None or served.digest == fitted.digest:
        return fitted
    try:
        verdict = compare(
            Card.model_validate(fitted.card),
            Verdict.model_validate(fitted.gate),
            Card.model_validate(served.card),
            Verdict.model_validate(served.gate),
            served.version,
        )
    except ValidationError:
        # a card of an older format says nothing that could be compared
        log.warning("production_not_comparable", version=served.version)
        return fitted
    gate: dict[str, Any] = verdict.model_dump(mode="json")
    return replace(fitted, verdict=verdict.verdict, gate=gate, card={**fitted.card, "gate": gate})


async def _production(database: Database, tenant_id: str, adapter: str) -> AdapterVersion | None:
    try:
        async with database.transaction(tenant_id) as session:
            found = await adapters.resolve(session, tenant_id, adapter)
            alias = await adapters.get_alias(session, tenant_id, found.id, adapters.PRODUCTION)
            return await adapters.version(session, tenant_id, found.id, alias.version)
    except NotFound:
        return None
