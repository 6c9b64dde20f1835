"""rollouts: a new base brought to tenants' adapters, and every alias it moved"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from heddle_infra.database.walls import protect

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ID = sa.String(length=40)
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "rollouts",
        sa.Column("id", _ID, nullable=False),
        sa.Column("base_id", _ID, nullable=False),
        sa.Column("base_name", sa.String(), nullable=False),
        sa.Column("base_digest", sa.String(), nullable=False),
        sa.Column("job_id", _ID, nullable=False),
        sa.Column("status", sa.String(), server_default="fitting", nullable=False),
        sa.Column("canary_share", sa.Float(), nullable=False),
        sa.Column("max_wait_seconds", sa.Integer(), nullable=True),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("tenants", postgresql.ARRAY(sa.String()), nullable=True),
        sa.Column("key_id", _ID, nullable=False),
        sa.Column("canary_until", _TIME, nullable=True),
        sa.Column("created_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(["base_id"], ["bases.id"], name="fk_rollouts_base_id_bases"),
        sa.PrimaryKeyConstraint("id", name="pk_rollouts"),
    )
    op.execute(
        "create unique index uq_rollouts_open on rollouts ((true)) "
        "where status in ('fitting', 'canary') and not dry_run"
    )
    op.create_table(
        "rollout_items",
        sa.Column("rollout_id", _ID, nullable=False),
        sa.Column("adapter_id", _ID, nullable=False),
        sa.Column("from_version", sa.Integer(), nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.Column("adapter_name", sa.String(), nullable=False),
        sa.Column("from_base_digest", sa.String(), nullable=False),
        sa.Column("to_version", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("passed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("mapped", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("numbers", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("reasons", postgresql.ARRAY(sa.String()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("moved", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("done_at", _TIME, nullable=True),
        *_owned("rollout_items"),
        sa.PrimaryKeyConstraint("rollout_id", "adapter_id", "from_version", name="pk_rollout_items"),
    )
    protect(op, "rollout_items")
    op.create_index("ix_rollout_items_tenant_id", "rollout_items", ["tenant_id"])
    op.create_table(
        "rollout_moves",
        sa.Column("rollout_id", _ID, nullable=False),
        sa.Column("adapter_id", _ID, nullable=False),
        sa.Column("alias", sa.String(), nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.Column("from_version", sa.Integer(), nullable=False),
        sa.Column("from_previous", sa.Integer(), nullable=True),
        sa.Column("to_version", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("undone", sa.String(), nullable=True),
        sa.Column("moved_at", _TIME, server_default=sa.text("now()"), nullable=False),
        *_owned("rollout_moves"),
        sa.PrimaryKeyConstraint("rollout_id", "adapter_id", "alias", name="pk_rollout_moves"),
    )
    protect(op, "rollout_moves")
    op.create_index("ix_rollout_moves_tenant_id", "rollout_moves", ["tenant_id"])


def _owned(table: str) -> tuple[sa.ForeignKeyConstraint, ...]:
    return tuple(
        sa.ForeignKeyConstraint(
            [f"{owner}_id"], [f"{owner}s.id"], name=f"fk_{table}_{owner}_id_{owner}s", ondelete="CASCADE"
        )
        for owner in ("rollout", "adapter", "tenant")
    )


def downgrade() -> None:
    op.drop_table("rollout_moves")
    op.drop_table("rollout_items")
    op.drop_table("rollouts")
