"""rollouts: whether the alias `default` moves with them, and where it was"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rollouts", sa.Column("promote", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("rollouts", sa.Column("promoted_from", sa.String(length=40), nullable=True))
    op.add_column("rollouts", sa.Column("promoted_revision", sa.Integer(), nullable=True))


def downgrade() -> None:
    for column in ("promoted_revision", "promoted_from", "promote"):
        op.drop_column("rollouts", column)
