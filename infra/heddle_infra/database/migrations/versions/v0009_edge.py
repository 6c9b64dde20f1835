"""serving: canaries and shadows of aliases, feedback on edits, batches of edits"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from heddle_infra.database.walls import protect

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ID = sa.String(length=40)
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("aliases", sa.Column("canary_version", sa.Integer(), nullable=True))
    op.add_column("aliases", sa.Column("canary_weight", sa.Float(), nullable=True))
    op.add_column("aliases", sa.Column("shadow_version", sa.Integer(), nullable=True))
    op.create_table(
        "feedback",
        sa.Column("id", _ID, nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.Column("adapter_name", sa.String(), nullable=False),
        sa.Column("adapter_version", sa.Integer(), nullable=False),
        sa.Column("adapter_digest", sa.String(), nullable=False),
        sa.Column("edit", postgresql.JSONB(), nullable=True),
        sa.Column("edit_digest", sa.String(), nullable=False),
        sa.Column("kept", sa.Boolean(), nullable=False),
        sa.Column("final", postgresql.JSONB(), nullable=False),
        sa.Column("key_id", _ID, nullable=False),
        sa.Column("created_at", _TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", _TIME, server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_feedback_tenant_id_tenants"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
    )
    protect(op, "feedback")
    op.create_index(op.f("ix_feedback_tenant_id"), "feedback", ["tenant_id"])
    op.create_table(
        "edit_batches",
        sa.Column("id", _ID, nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.Column("key_id", _ID, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("spec", postgresql.JSONB(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("results", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_expires_at", _TIME, nullable=True),
        sa.Column("created_at", _TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("finished_at", _TIME, nullable=True),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_edit_batches_tenant_id_tenants"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_edit_batches")),
    )
    protect(op, "edit_batches")
    op.create_index(op.f("ix_edit_batches_tenant_id"), "edit_batches", ["tenant_id"])


def downgrade() -> None:
    op.drop_table("edit_batches")
    op.drop_table("feedback")
    op.drop_column("aliases", "shadow_version")
    op.drop_column("aliases", "canary_weight")
    op.drop_column("aliases", "canary_version")
