"""limits: rotated keys, quotas, usage by the hour, the audit trail"""

import sqlalchemy as sa
from alembic import op

from heddle_infra.database.walls import protect

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_NOW = sa.text("now()")


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("previous_hash", sa.String(), nullable=True))
    op.add_column("api_keys", sa.Column("previous_ends_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_keys", sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True))
    op.create_unique_constraint(op.f("uq_api_keys_previous_hash"), "api_keys", ["previous_hash"])
    op.create_index(
        "ix_jobs_open_of_tenant",
        "jobs",
        ["tenant_id"],
        postgresql_where=sa.text("status in ('validating', 'queued', 'running', 'scoring')"),
    )
    op.create_table(
        "tenant_quotas",
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("requests_per_second", sa.Float(), nullable=True),
        sa.Column("burst", sa.Integer(), nullable=True),
        sa.Column("images", sa.BigInteger(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("labelled_rows", sa.BigInteger(), nullable=True),
        sa.Column("adapters", sa.Integer(), nullable=True),
        sa.Column("running_jobs", sa.Integer(), nullable=True),
        sa.Column("queued_jobs", sa.Integer(), nullable=True),
        sa.Column("weight", sa.Float(), server_default="1", nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_tenant_quotas_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tenant_quotas")),
    )
    op.create_table(
        "usage_hours",
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "hour", "metric", name=op.f("pk_usage_hours")),
    )
    op.create_table(
        "usage_sources",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_usage_sources")),
    )
    op.create_index(op.f("ix_usage_sources_updated_at"), "usage_sources", ["updated_at"])
    op.create_table(
        "audit_events",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(length=40), nullable=True),
        sa.Column("before", sa.String(length=64), nullable=True),
        sa.Column("after", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
        sa.UniqueConstraint(
            "tenant_id",
            "sequence",
            name=op.f("uq_audit_events_tenant_id_sequence"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_table(
        "audit_heads",
        sa.Column("chain", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_audit_heads")),
    )
    for table in ("tenant_quotas", "usage_hours", "audit_events", "audit_heads"):
        protect(op, table)


def downgrade() -> None:
    for table in ("audit_heads", "audit_events", "usage_sources", "usage_hours", "tenant_quotas"):
        op.drop_table(table)
    op.drop_index("ix_jobs_open_of_tenant", table_name="jobs")
    op.drop_constraint(op.f("uq_api_keys_previous_hash"), "api_keys", type_="unique")
    for column in ("rotated_at", "previous_ends_at", "previous_hash"):
        op.drop_column("api_keys", column)
