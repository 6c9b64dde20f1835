"""Who did what: events that nobody can change unnoticed."""
