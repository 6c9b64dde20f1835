"""operators' jobs: they belong to no tenant"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("jobs", "tenant_id", existing_type=sa.String(length=40), nullable=True)


def downgrade() -> None:
    op.execute("delete from jobs where tenant_id is null")
    op.alter_column("jobs", "tenant_id", existing_type=sa.String(length=40), nullable=False)
