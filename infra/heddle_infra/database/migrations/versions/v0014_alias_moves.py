"""alias moves: every move of an alias, with the version it came to, who moved it and why

Where the aliases stand already becomes their first entry; who put them there is in the audit trail.
"""

import sqlalchemy as sa
from alembic import op

from heddle_infra.database.walls import protect

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_ID = sa.String(length=40)


def upgrade() -> None:
    op.create_table(
        "alias_moves",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("adapter_id", _ID, nullable=False),
        sa.Column("alias", sa.String(), nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("from_version", sa.Integer(), nullable=True),
        sa.Column("canary_version", sa.Integer(), nullable=True),
        sa.Column("canary_weight", sa.Float(), nullable=True),
        sa.Column("shadow_version", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("key_id", _ID, nullable=True),
        sa.Column("comment", sa.String(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["adapter_id"], ["adapters.id"], name=op.f("fk_alias_moves_adapter_id_adapters"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alias_moves")),
    )
    op.create_index("ix_alias_moves_adapter_id", "alias_moves", ["adapter_id", "id"])
    op.execute(
        "insert into alias_moves (adapter_id, alias, tenant_id, version, from_version, canary_version, canary_weight,"
        " shadow_version, reason, created_at) select adapter_id, alias, tenant_id, version, previous_version,"
        " canary_version, canary_weight, shadow_version, 'moved', updated_at from aliases order by updated_at"
    )
    protect(op, "alias_moves")


def downgrade() -> None:
    op.drop_table("alias_moves")
