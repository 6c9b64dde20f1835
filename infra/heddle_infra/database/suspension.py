"""Suspension: what the queue adds to its conditions, so that a suspended tenant's jobs wait until it is resumed."""

from typing import Final

# an operator's job has no tenant and is never suspended; the few that are suspended are read once for all rows
OF_ACTIVE_TENANT: Final = "coalesce(jobs.tenant_id, '') not in (select id from tenants where status <> 'active')"
