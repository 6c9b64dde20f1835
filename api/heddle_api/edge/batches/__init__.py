"""Batches: many images times many edits, done when nobody waits."""
