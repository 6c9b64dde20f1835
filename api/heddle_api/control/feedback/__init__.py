"""What became of edits: kept or not, and where the sliders were left."""
