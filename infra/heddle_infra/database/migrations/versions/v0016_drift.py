"""drift: sums over the images that a version edited, by the hour"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from heddle_infra.database.walls import protect

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_ID = sa.String(length=40)


def upgrade() -> None:
    op.create_table(
        "drift_hours",
        sa.Column("adapter_id", _ID, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.Column("images", sa.BigInteger(), nullable=False),
        sa.Column("outside", sa.BigInteger(), nullable=False),
        sa.Column("square", sa.Float(), nullable=False),
        sa.Column("freedom", sa.BigInteger(), nullable=False),
        sa.Column("trace", sa.Float(), nullable=False),
        sa.Column("square_trace", sa.Float(), nullable=False),
        sa.Column("total", postgresql.ARRAY(sa.Float()), nullable=False),
        sa.Column("levels", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.ForeignKeyConstraint(
            ["adapter_id", "version"],
            ["adapter_versions.adapter_id", "adapter_versions.version"],
            name=op.f("fk_drift_hours_adapter_id_adapter_versions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("adapter_id", "version", "hour", name=op.f("pk_drift_hours")),
    )
    op.create_index(op.f("ix_drift_hours_hour"), "drift_hours", ["hour"])
    op.create_index(op.f("ix_drift_hours_tenant_id"), "drift_hours", ["tenant_id"])
    protect(op, "drift_hours")


def downgrade() -> None:
    op.drop_table("drift_hours")
