"""Labelled sets: registered, validated by a job, ready or rejected."""
