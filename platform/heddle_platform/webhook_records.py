"""Records of webhooks: where a tenant wants to be told of what, and each telling."""

from datetime import datetime
from typing import Any, Literal, get_args

from heddle_platform.records import Record

WebhookEvent = Literal[
    "job.succeeded",
    "job.failed",
    "job.awaiting_approval",
    "job.cancelled",
    "dataset.ready",
    "dataset.rejected",
    "adapter.alias_moved",
    "erasure.completed",
    "adapter.drifted",
]
WEBHOOK_EVENTS: tuple[WebhookEvent, ...] = get_args(WebhookEvent)
EndpointStatus = Literal["enabled", "disabled"]
DeliveryStatus = Literal["pending", "delivered", "failed"]


class WebhookEndpoint(Record):
    """Where a tenant wants to be told of events; `revision` is its ETag. Secrets are sealed.

    After a rotation deliveries are signed with both secrets until `previous_until`.
    """

    id: str
    tenant_id: str
    url: str
    description: str
    events: tuple[WebhookEvent, ...]
    status: EndpointStatus
    disabled_reason: str | None
    revision: int
    sealed_secret: bytes
    sealed_previous: bytes | None
    previous_until: datetime | None
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime


class WebhookDelivery(Record):
    """One event on its way to one endpoint. `attempts` counts sendings and is the fencing token."""

    id: str
    endpoint_id: str
    tenant_id: str
    event_id: str
    event_type: WebhookEvent
    payload: dict[str, Any]
    status: DeliveryStatus
    attempts: int
    attempts_before: int
    next_attempt_at: datetime
    response_status: int | None
    reason: str | None
    created_at: datetime
    finished_at: datetime | None
