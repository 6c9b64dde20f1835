"""The outbox: an event becomes one row for each endpoint that asked for it, in the transaction that makes it true.

So no event is told that was rolled back, and none is lost between a commit and its telling. Sending is `deliveries`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_infra.database.arrays import among, texts
from heddle_infra.database.webhook_models import WebhookDeliveryRow, WebhookEndpointRow
from heddle_platform.ids import new_id
from heddle_platform.records import Alias
from heddle_platform.webhook_records import WebhookEvent

_OF_STATUS: Final[Mapping[str, WebhookEvent]] = {
    "succeeded": "job.succeeded",
    "failed": "job.failed",
    "awaiting_approval": "job.awaiting_approval",
    "cancelled": "job.cancelled",
}


@dataclass(frozen=True)
class Told:
    """An event of a tenant; no secrets and no pixels in its data: it leaves the platform."""

    tenant_id: str
    event: WebhookEvent
    data: Mapping[str, Any]


async def emit(session: AsyncSession, tenant_id: str, event: WebhookEvent, data: Mapping[str, Any]) -> None:
    """Write one event; see `emit_all`."""
    await emit_all(session, [Told(tenant_id, event, data)])


async def emit_all(session: AsyncSession, events: Sequence[Told]) -> None:
    """Write each event for every enabled endpoint of its tenant that asked for it.

    Args:
        session: of the transaction that makes the events true.
        events: what is told.
    """
    if not events:
        return
    # FOR KEY SHARE: an endpoint deleted meanwhile must not break the transaction that only wants to tell it something
    found = await session.execute(
        select(WebhookEndpointRow.id, WebhookEndpointRow.tenant_id, WebhookEndpointRow.events)
        .where(
            among(WebhookEndpointRow.tenant_id, {one.tenant_id for one in events}),
            WebhookEndpointRow.status == "enabled",
            WebhookEndpointRow.events.overlap(texts({one.event for one in events})),
        )
        .order_by(WebhookEndpointRow.id)
        .with_for_update(read=True, key_share=True)
    )
    endpoints = found.all()
    for one in events if endpoints else ():
        event_id, happened = new_id("ev"), datetime.now(UTC)
        timestamp = happened.isoformat().replace("+00:00", "Z")
        payload = {"type": one.event, "timestamp": timestamp, "data": dict(one.data)}
        session.add_all(
            WebhookDeliveryRow(
                id=new_id("dlv"),
                endpoint_id=endpoint_id,
                tenant_id=tenant_id,
                event_id=event_id,
                event_type=one.event,
                payload=payload,
            )
            for endpoint_id, tenant_id, wanted in endpoints
            if tenant_id == one.tenant_id and one.event in wanted
        )
    await session.flush()


async def jobs_over(session: AsyncSession, over: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Tell that jobs ended, each given with its tenant.

    A validation is told of by its labelled set, and a done erasure by a name of its own.
    """
    await emit_all(session, [Told(tenant, _event_of(job), job) for tenant, job in over if job["type"] != "validate"])


def _event_of(job: Mapping[str, Any]) -> WebhookEvent:
    done = job["type"] == "erase" and job["status"] == "succeeded"
    return "erasure.completed" if done else _OF_STATUS[job["status"]]


async def alias_moved(session: AsyncSession, tenant_id: str, alias: Alias) -> None:
    """Tell where an alias points now."""
    data = alias.model_dump(mode="json", include={"adapter_id", "alias", "version", "previous_version"})
    await emit(session, tenant_id, "adapter.alias_moved", data)
