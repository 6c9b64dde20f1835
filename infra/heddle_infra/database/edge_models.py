"""Tables of serving: verdicts on edits, batches of edits, how aliases moved, and what was summed of edited images."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Float, ForeignKey, ForeignKeyConstraint, Identity, Index, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from heddle_infra.database.models import CASCADE, Id, Table


class FeedbackRow(Table):
    __tablename__ = "feedback"
    id: Mapped[str] = mapped_column(Id, primary_key=True)  # that of the edit: one edit, one verdict
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id", ondelete=CASCADE), index=True)
    adapter_name: Mapped[str]
    adapter_version: Mapped[int]
    adapter_digest: Mapped[str]
    edit: Mapped[dict[str, Any] | None]
    edit_digest: Mapped[str]
    kept: Mapped[bool]
    final: Mapped[dict[str, Any]]
    key_id: Mapped[str] = mapped_column(Id)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class AliasMoveRow(Table):
    __tablename__ = "alias_moves"
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    adapter_id: Mapped[str] = mapped_column(Id, ForeignKey("adapters.id", ondelete=CASCADE))
    alias: Mapped[str]
    tenant_id: Mapped[str] = mapped_column(Id)
    version: Mapped[int | None]
    from_version: Mapped[int | None]
    canary_version: Mapped[int | None]
    canary_weight: Mapped[float | None] = mapped_column(Float)
    shadow_version: Mapped[int | None]
    reason: Mapped[str]
    key_id: Mapped[str | None] = mapped_column(Id)
    comment: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (Index("ix_alias_moves_adapter_id", "adapter_id", "id"),)


class EditBatchRow(Table):
    __tablename__ = "edit_batches"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id", ondelete=CASCADE), index=True)
    key_id: Mapped[str] = mapped_column(Id)
    epoch: Mapped[int]
    status: Mapped[str]
    spec: Mapped[dict[str, Any]]
    items: Mapped[int]
    done: Mapped[int] = mapped_column(server_default="0")
    failed: Mapped[int] = mapped_column(server_default="0")
    results: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    attempt: Mapped[int] = mapped_column(server_default="0")
    lease_expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]


class DriftHourRow(Table):
    """Sums over the images that a version edited in an hour: see `heddle_platform.drift.DriftSums`."""

    __tablename__ = "drift_hours"
    adapter_id: Mapped[str] = mapped_column(Id, primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True, index=True)
    tenant_id: Mapped[str] = mapped_column(Id, index=True)
    images: Mapped[int] = mapped_column(BigInteger)
    outside: Mapped[int] = mapped_column(BigInteger)
    square: Mapped[float] = mapped_column(Float)
    freedom: Mapped[int] = mapped_column(BigInteger)
    trace: Mapped[float] = mapped_column(Float)
    square_trace: Mapped[float] = mapped_column(Float)
    total: Mapped[list[float]] = mapped_column(ARRAY(Float))
    levels: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    __table_args__ = (
        ForeignKeyConstraint(
            ["adapter_id", "version"], ["adapter_versions.adapter_id", "adapter_versions.version"], ondelete=CASCADE
        ),
    )


class ServingChangeRow(Table):
    """How often transactions of one connection changed what edges serve by; triggers write it."""

    __tablename__ = "serving_changes"
    backend: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    changes: Mapped[int] = mapped_column(BigInteger, server_default="1")
