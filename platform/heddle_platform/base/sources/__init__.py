"""Corpora made by others: where they lie, how each kind is read, and the shards that training streams."""
