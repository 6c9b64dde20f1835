"""What a tenant may have and do at once."""
