"""Published bases and the aliases that point at them."""
