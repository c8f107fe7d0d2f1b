"""What rewrites prompts (Eq. 2)."""
