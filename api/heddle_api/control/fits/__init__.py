"""Fits that are answered at once: the preview."""
