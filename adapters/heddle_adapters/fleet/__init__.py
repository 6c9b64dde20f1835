"""The fleet: thousands of tenants' closed-form fits in one call. The only room of this package that imports torch."""
