"""Tables of webhooks: where a tenant wants to be told, and the outbox of what is to be told there."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, func, text
from sqlalchemy.orm import Mapped, mapped_column

from heddle_infra.database.models import CASCADE, Id, Table


class WebhookEndpointRow(Table):
    __tablename__ = "webhook_endpoints"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id", ondelete=CASCADE), index=True)
    url: Mapped[str]
    description: Mapped[str]
    events: Mapped[list[str]]
    status: Mapped[str] = mapped_column(server_default="enabled")
    disabled_reason: Mapped[str | None]
    revision: Mapped[int] = mapped_column(server_default="1")
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_previous: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_until: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class WebhookDeliveryRow(Table):
    __tablename__ = "webhook_deliveries"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(Id, ForeignKey("webhook_endpoints.id", ondelete=CASCADE), index=True)
    tenant_id: Mapped[str] = mapped_column(Id, index=True)
    event_id: Mapped[str] = mapped_column(Id)
    event_type: Mapped[str]
    payload: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default="0")  # never goes back: it fences who may write the outcome
    attempts_before: Mapped[int] = mapped_column(server_default="0")  # those before the last redelivery
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=func.now())
    lease_expires_at: Mapped[datetime | None]
    response_status: Mapped[int | None]
    reason: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]
    __table_args__ = (
        Index("ix_webhook_deliveries_pending", "next_attempt_at", postgresql_where=text("status = 'pending'")),
    )
