"""Who samples candidates."""
