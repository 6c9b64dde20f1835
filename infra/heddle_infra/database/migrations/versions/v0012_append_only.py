"""append-only: the end of an audit chain moves one step forward, whoever moves it

That events are neither changed nor deleted by the planes' role is a matter of rights: `roles.admit`.
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_FUNCTION = """
create function audit_heads_grow() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' or new.chain is distinct from old.chain or new.tenant_id is distinct from old.tenant_id
        or new.sequence <> old.sequence + 1 then
        raise exception 'the audit chain % is only ever added to', old.chain using errcode = 'insufficient_privilege';
    end if;
    return new;
end $$
"""
_TRIGGER = """
create trigger audit_heads_grow before update or delete on audit_heads
for each row execute function audit_heads_grow()
"""


def upgrade() -> None:
    op.execute(_FUNCTION)
    op.execute(_TRIGGER)


def downgrade() -> None:
    op.execute("drop trigger audit_heads_grow on audit_heads")
    op.execute("drop function audit_heads_grow")
