"""Tenants, made and suspended by operators."""
