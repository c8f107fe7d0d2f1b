"""Who scores candidates."""
