"""The truth: tenants, keys, sets, jobs, adapters and their aliases, in PostgreSQL.

Every module holds plain async functions that take an open session first and a tenant id second; a function
that takes a tenant id never returns another tenant's row. The caller owns the transaction.
"""
