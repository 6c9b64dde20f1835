"""Suspension: what a claim adds to its conditions, so that a suspended tenant's jobs wait until it is resumed."""

from typing import Final

# an operator's job has no tenant and is never suspended
OF_ACTIVE_TENANT: Final = (
    "coalesce((select status from tenants where tenants.id = jobs.tenant_id), 'active') = 'active'"
)
