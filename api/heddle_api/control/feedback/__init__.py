"""API keys, and what a key is told about itself."""
