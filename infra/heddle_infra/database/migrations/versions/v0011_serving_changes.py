"""serving: a stamp that changes with all that an edge serves by

One row per connection of the database, so that no two transactions ever wait for each other's row; the sum of all
rows is the stamp, and it changes when a transaction commits, not before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TABLES = ("tenants", "api_keys", "adapters", "adapter_versions", "aliases", "bases", "base_aliases", "tenant_quotas")


def upgrade() -> None:
    op.create_table(
        "serving_changes",
        sa.Column("backend", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("changes", sa.BigInteger(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("backend", name=op.f("pk_serving_changes")),
    )
    # with the owner's rights: who may write an alias need not be able to write this table
    op.execute(
        """
        create function heddle_serving_changed() returns trigger language plpgsql
        security definer set search_path = public, pg_temp as $$
        begin
            insert into serving_changes (backend) values (pg_backend_pid())
                on conflict (backend) do update set changes = serving_changes.changes + 1;
            return null;
        end $$
        """
    )
    for table in _TABLES:
        op.execute(
            f"create trigger serving_changed after insert or update or delete or truncate on {table} "
            "for each statement execute function heddle_serving_changed()"
        )


def downgrade() -> None:
    for table in _TABLES:
        op.execute(f"drop trigger serving_changed on {table}")
    op.execute("drop function heddle_serving_changed()")
    op.drop_table("serving_changes")
