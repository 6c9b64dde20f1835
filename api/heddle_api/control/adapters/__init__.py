"""Adapters: versions, their cards, decisions on them, aliases."""
