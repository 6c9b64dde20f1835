"""The outbox: an event becomes one row for each endpoint that asked for it, in the transaction that makes it true.

So no event is told that was rolled back, and none is lost between a commit and its telling. Sending is `deliveries`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import any_, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

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


async def emit(session: AsyncSession, tenant_id: str, event: WebhookEvent, data: Mapping[str, Any]) -> None:
    """Write an event for every enabled endpoint of the tenant that asked for it.

    Args:
        session: of the transaction that makes the event true.
        tenant_id: whose event it is.
        event: its type.
        data: what is told of it; no secrets, no pixels: it leaves the platform.
    """
    # FOR KEY SHARE: an endpoint deleted meanwhile must not break the transaction that only wants to tell it something
    endpoints = await session.scalars(
        select(WebhookEndpointRow.id)
        .where(
            WebhookEndpointRow.tenant_id == tenant_id,
            WebhookEndpointRow.status == "enabled",
            literal(event) == any_(WebhookEndpointRow.events),
        )
        .with_for_update(read=True, key_share=True)
    )
    event_id, happened = new_id("ev"), datetime.now(UTC)
    payload = {"type": event, "timestamp": happened.isoformat().replace("+00:00", "Z"), "data": dict(data)}
    session.add_all(
        WebhookDeliveryRow(
            id=new_id("dlv"),
            endpoint_id=endpoint_id,
            tenant_id=tenant_id,
            event_id=event_id,
            event_type=event,
            payload=payload,
        )
        for endpoint_id in endpoints.all()
    )
    await session.flush()


async def job_over(session: AsyncSession, tenant_id: str, job: Mapping[str, Any]) -> None:
    """Tell that a job ended; a validation is told of by its labelled set, and a done erasure by a name of its own."""
    if job["type"] == "validate":
        return
    done = job["type"] == "erase" and job["status"] == "succeeded"
    await emit(session, tenant_id, "erasure.completed" if done else _OF_STATUS[job["status"]], job)


async def alias_moved(session: AsyncSession, tenant_id: str, alias: Alias) -> None:
    """Tell where an alias points now."""
    data = alias.model_dump(mode="json", include={"adapter_id", "alias", "version", "previous_version"})
    await emit(session, tenant_id, "adapter.alias_moved", data)
