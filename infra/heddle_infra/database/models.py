"""Tables. Names of constraints are fixed so that migrations can speak of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Id = String(40)
CASCADE = "CASCADE"


class Table(DeclarativeBase):
    """Root of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  SQLAlchemy reads it from the class
        dict[str, Any]: JSONB,
        list[str]: ARRAY(String),
        datetime: DateTime(timezone=True),
    }


class TenantRow(Table):
    __tablename__ = "tenants"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="active")
    epoch: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ApiKeyRow(Table):
    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str | None] = mapped_column(Id, ForeignKey("tenants.id", ondelete=CASCADE), index=True)
    name: Mapped[str]
    secret_hash: Mapped[str] = mapped_column(unique=True)
    previous_hash: Mapped[str | None] = mapped_column(unique=True)
    previous_ends_at: Mapped[datetime | None]
    scopes: Mapped[list[str]]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    rotated_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class BaseRow(Table):
    __tablename__ = "bases"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    manifest: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class BaseAliasRow(Table):
    __tablename__ = "base_aliases"
    alias: Mapped[str] = mapped_column(primary_key=True)
    base_id: Mapped[str] = mapped_column(Id, ForeignKey("bases.id"))
    revision: Mapped[int] = mapped_column(server_default="1")
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class FactorSetRow(Table):
    __tablename__ = "factor_sets"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id", ondelete=CASCADE))
    name: Mapped[str]
    __table_args__ = (UniqueConstraint("tenant_id", "name"),)


class FactorSetVersionRow(Table):
    __tablename__ = "factor_set_versions"
    id: Mapped[str] = mapped_column(Id, ForeignKey("factor_sets.id", ondelete=CASCADE), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, index=True)
    name: Mapped[str]
    digest: Mapped[str]
    document: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class UploadRow(Table):
    __tablename__ = "uploads"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str | None] = mapped_column(Id, ForeignKey("tenants.id", ondelete=CASCADE), index=True)
    filename: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    multipart_id: Mapped[str]
    part_count: Mapped[int]
    status: Mapped[str] = mapped_column(server_default="open")
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class DatasetRow(Table):
    __tablename__ = "datasets"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id", ondelete=CASCADE), index=True)
    name: Mapped[str]
    factor_set_id: Mapped[str] = mapped_column(Id)
    factor_set_version: Mapped[int]
    upload_id: Mapped[str] = mapped_column(Id, ForeignKey("uploads.id"))
    status: Mapped[str]
    digest: Mapped[str | None]
    images: Mapped[int | None]
    report: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        ForeignKeyConstraint(
            ["factor_set_id", "factor_set_version"], ["factor_set_versions.id", "factor_set_versions.version"]
        ),
    )


class JobRow(Table):
    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str | None] = mapped_column(Id, ForeignKey("tenants.id", ondelete=CASCADE), index=True)
    type: Mapped[str]
    status: Mapped[str]
    dataset_id: Mapped[str | None] = mapped_column(Id, ForeignKey("datasets.id"), index=True)
    spec: Mapped[dict[str, Any]]
    priority: Mapped[int] = mapped_column(server_default="0")
    attempt: Mapped[int] = mapped_column(server_default="0")
    stage: Mapped[str | None]
    progress: Mapped[float] = mapped_column(Float, server_default="0")
    error: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]
    cancel_requested: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    lease_owner: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]
    not_before: Mapped[datetime] = mapped_column(server_default=func.now())
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    cost: Mapped[float | None] = mapped_column(Float)  # what the queue charged its tenant, rows x latents
    forgiven: Mapped[int] = mapped_column(server_default="0")  # attempts that count against no limit
    dead_letter: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    __table_args__ = (
        Index("ix_jobs_finished", "finished_at", postgresql_where=text("finished_at is not null")),
        Index(
            "ix_jobs_open",
            "status",
            "created_at",
            postgresql_where=text("status in ('queued', 'running', 'scoring')"),
        ),
        Index(
            "ix_jobs_open_of_tenant",
            "tenant_id",
            postgresql_where=text("status in ('validating', 'queued', 'running', 'scoring')"),
        ),
    )


class QueueShareRow(Table):
    """Where a tenant with waiting jobs stands in the round robin; operators' jobs are those of the tenant ''."""

    __tablename__ = "queue_shares"
    tenant_id: Mapped[str] = mapped_column(Id, primary_key=True)
    turn: Mapped[int] = mapped_column(BigInteger)
    deficit: Mapped[float] = mapped_column(Float)
    visiting: Mapped[bool]


class JobEventRow(Table):
    __tablename__ = "job_events"
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete=CASCADE), index=True)
    type: Mapped[str]
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class AdapterRow(Table):
    __tablename__ = "adapters"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id", ondelete=CASCADE))
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (UniqueConstraint("tenant_id", "name"),)


class AdapterVersionRow(Table):
    __tablename__ = "adapter_versions"
    adapter_id: Mapped[str] = mapped_column(Id, ForeignKey("adapters.id", ondelete=CASCADE), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, index=True)
    digest: Mapped[str]
    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id"))
    base_id: Mapped[str] = mapped_column(Id, ForeignKey("bases.id"))
    base_digest: Mapped[str]
    factor_set_id: Mapped[str] = mapped_column(Id)
    factor_set_version: Mapped[int]
    dataset_id: Mapped[str] = mapped_column(Id, ForeignKey("datasets.id"))
    verdict: Mapped[str]
    status: Mapped[str]
    gate: Mapped[dict[str, Any]]
    card: Mapped[dict[str, Any]]
    files: Mapped[dict[str, Any]]
    replaces: Mapped[int | None]
    replaced_by: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        # one fit, one version; one erasure, one version for each it replaces: exactly once
        UniqueConstraint("job_id", "adapter_id", "replaces", postgresql_nulls_not_distinct=True),
    )


class ApprovalRow(Table):
    __tablename__ = "approvals"
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    adapter_id: Mapped[str] = mapped_column(Id)
    version: Mapped[int]
    tenant_id: Mapped[str] = mapped_column(Id)
    decision: Mapped[str]
    comment: Mapped[str]
    key_id: Mapped[str] = mapped_column(Id)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        ForeignKeyConstraint(
            ["adapter_id", "version"], ["adapter_versions.adapter_id", "adapter_versions.version"], ondelete=CASCADE
        ),
    )


class AliasRow(Table):
    __tablename__ = "aliases"
    adapter_id: Mapped[str] = mapped_column(Id, ForeignKey("adapters.id", ondelete=CASCADE), primary_key=True)
    alias: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, index=True)
    version: Mapped[int]
    previous_version: Mapped[int | None] = mapped_column(Integer)
    canary_version: Mapped[int | None]
    canary_weight: Mapped[float | None] = mapped_column(Float)
    shadow_version: Mapped[int | None]
    revision: Mapped[int] = mapped_column(server_default="1")
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        ForeignKeyConstraint(
            ["adapter_id", "version"], ["adapter_versions.adapter_id", "adapter_versions.version"], ondelete=CASCADE
        ),
    )


class IdempotencyRow(Table):
    __tablename__ = "idempotency_keys"
    scope: Mapped[str] = mapped_column(primary_key=True)  # tenant or operator key, and route
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    status: Mapped[int]
    sealed_body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class PlatformNoteRow(Table):
    """What a process of the platform tells the others: one document by name, the last one said."""

    __tablename__ = "platform_notes"
    name: Mapped[str] = mapped_column(primary_key=True)
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    written_at: Mapped[datetime] = mapped_column(server_default=func.now())
