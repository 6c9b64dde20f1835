"""walls: row-level security on every table that holds a tenant's rows"""

from alembic import op

from heddle_infra.database.walls import owned_by, owned_through, protect, unprotect

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# a stored reply belongs to a tenant by the first word of its scope, or to an operator's key
_REPLIES = owned_by("(case when starts_with(scope, 'ten_') then split_part(scope, ' ', 1) end)")
_RULES = {
    "tenants": owned_by("id"),
    "api_keys": None,
    "factor_sets": None,
    "factor_set_versions": None,
    "uploads": None,
    "datasets": None,
    "jobs": None,
    "job_events": owned_through("job_events", "job_id", "jobs"),
    "adapters": None,
    "adapter_versions": None,
    "approvals": None,
    "aliases": None,
    "idempotency_keys": _REPLIES,
}


def upgrade() -> None:
    for table, rule in _RULES.items():
        protect(op, table, rule)


def downgrade() -> None:
    for table in reversed(_RULES):
        unprotect(op, table)
