"""How a ranking becomes a pair."""
