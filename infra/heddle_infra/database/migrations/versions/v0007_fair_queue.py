"""the queue's shares, what a job was charged, and jobs that were given up"""

import sqlalchemy as sa
from alembic import op

from heddle_infra.database.walls import protect

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "queue_shares",
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("deficit", sa.Float(), nullable=False),
        sa.Column("visiting", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_queue_shares"),
    )
    protect(op, "queue_shares")
    op.add_column("jobs", sa.Column("cost", sa.Float(), nullable=True))
    op.add_column("jobs", sa.Column("forgiven", sa.Integer(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("dead_letter", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_index("ix_jobs_finished", "jobs", ["finished_at"], postgresql_where=sa.text("finished_at is not null"))


def downgrade() -> None:
    op.drop_index("ix_jobs_finished", table_name="jobs")
    for column in ("dead_letter", "forgiven", "cost"):
        op.drop_column("jobs", column)
    op.drop_table("queue_shares")
