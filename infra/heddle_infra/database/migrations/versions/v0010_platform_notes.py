"""platform notes: what dispatchers see of the cluster, and what the reconciler found"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from heddle_infra.database.walls import PLATFORM_ONLY, protect

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "platform_notes",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_platform_notes")),
    )
    protect(op, "platform_notes", PLATFORM_ONLY)


def downgrade() -> None:
    op.drop_table("platform_notes")
