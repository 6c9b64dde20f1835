"""What was counted of a tenant, by the hour."""
