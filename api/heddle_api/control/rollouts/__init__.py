"""Rollouts: a new base brought to every tenant's adapters, canary first, and back with one call."""
