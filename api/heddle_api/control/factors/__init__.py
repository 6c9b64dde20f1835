"""Factor sets: what a tenant wants to edit, versioned and immutable."""
