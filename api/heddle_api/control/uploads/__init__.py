"""Uploads: bytes that go straight to the object store."""
