"""erasure: versions that take the place of others"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("adapter_versions", sa.Column("replaces", sa.Integer(), nullable=True))
    op.add_column("adapter_versions", sa.Column("replaced_by", sa.Integer(), nullable=True))
    op.drop_constraint(op.f("uq_adapter_versions_job_id"), "adapter_versions", type_="unique")
    op.create_unique_constraint(
        op.f("uq_adapter_versions_job_id_adapter_id_replaces"),
        "adapter_versions",
        ["job_id", "adapter_id", "replaces"],
        postgresql_nulls_not_distinct=True,
    )


def downgrade() -> None:
    op.drop_constraint(op.f("uq_adapter_versions_job_id_adapter_id_replaces"), "adapter_versions", type_="unique")
    op.create_unique_constraint(op.f("uq_adapter_versions_job_id"), "adapter_versions", ["job_id"])
    op.drop_column("adapter_versions", "replaced_by")
    op.drop_column("adapter_versions", "replaces")
