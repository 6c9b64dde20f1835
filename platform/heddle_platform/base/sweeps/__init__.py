"""Sweeps over recipes: what is tried, what each training gave, which setting is chosen and why, and the report."""
