"""Production: a fitted version held against the one that is served, before it is written."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import structlog
from pydantic import ValidationError

from heddle_adapters.gate import Verdict
from heddle_adapters.gate_compare import compare
from heddle_adapters.report import Card
from heddle_infra.database import serving
from heddle_infra.database.engine import Database
from heddle_platform.records import AdapterVersion
from heddle_workers.batcher import Batcher
from heddle_workers.fitted import Fitted

_AT_ONCE: Final = 50

log = structlog.get_logger()


class Production:
    """What production points at, looked up for many fits at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked = Batcher[tuple[str, str], AdapterVersion | None](self._look_up, _AT_ONCE)

    async def held_against(self, tenant_id: str, adapter: str, fitted: Fitted) -> Fitted:
        """Return what was fitted with its gate held against the version `production` points at; as it is without one.

        The files stay as they were drawn: they depend on the data alone, production is a matter of the day.
        """
        served = await self._asked.ask((tenant_id, adapter))
        return fitted if served is None or served.digest == fitted.digest else _compared(fitted, served)

    async def _look_up(self, names: Sequence[tuple[str, str]]) -> list[AdapterVersion | None]:
        async with self._database.platform_transaction() as session:  # the fits may be of many tenants
            found = await serving.in_production(session, set(names))
        return [found.get(name) for name in names]


def _compared(fitted: Fitted, served: AdapterVersion) -> Fitted:
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
