"""Who rates pairs."""
