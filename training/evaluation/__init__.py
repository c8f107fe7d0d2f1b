"""How good a target or a judge is."""
