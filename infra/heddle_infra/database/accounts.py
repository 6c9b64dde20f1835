"""Tables of what is allowed to, counted of and noted about tenants; the other tables stand in `models`.

Usage and audit outlive their tenant: the last invoice and the record of its deletion come after it.
"""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from heddle_infra.database.models import CASCADE, Id, Table

_Digest = String(64)


class TenantQuotaRow(Table):
    """Limits that an operator set; null: the platform's default, as where there is no row."""

    __tablename__ = "tenant_quotas"
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id", ondelete=CASCADE), primary_key=True)
    requests_per_second: Mapped[float | None]
    burst: Mapped[int | None]
    images: Mapped[int | None] = mapped_column(BigInteger)
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    labelled_rows: Mapped[int | None] = mapped_column(BigInteger)
    adapters: Mapped[int | None]
    running_jobs: Mapped[int | None]
    queued_jobs: Mapped[int | None]
    weight: Mapped[float] = mapped_column(server_default="1")
    revision: Mapped[int] = mapped_column(server_default="1")
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class UsageHourRow(Table):
    __tablename__ = "usage_hours"
    tenant_id: Mapped[str] = mapped_column(Id, primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    metric: Mapped[str] = mapped_column(primary_key=True)
    amount: Mapped[int] = mapped_column(BigInteger)


class UsageSourceRow(Table):
    """How far the counts of one process have arrived, so that a flush sent twice counts once."""

    __tablename__ = "usage_sources"
    source: Mapped[str] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class AuditEventRow(Table):
    __tablename__ = "audit_events"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str | None] = mapped_column(Id)
    sequence: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str]
    key_id: Mapped[str] = mapped_column(Id)
    action: Mapped[str]
    target: Mapped[str]
    request_id: Mapped[str | None] = mapped_column(Id)
    before: Mapped[str | None] = mapped_column(_Digest)
    after: Mapped[str | None] = mapped_column(_Digest)
    created_at: Mapped[datetime]
    previous_hash: Mapped[str] = mapped_column(_Digest)
    hash: Mapped[str] = mapped_column(_Digest)
    __table_args__ = (UniqueConstraint("tenant_id", "sequence", postgresql_nulls_not_distinct=True),)


class AuditHeadRow(Table):
    """The end of each chain; its lock puts a chain's events in order."""

    __tablename__ = "audit_heads"
    chain: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str | None] = mapped_column(Id)
    sequence: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(_Digest)
