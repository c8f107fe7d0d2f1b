"""Scores read from what judges and rewards said; `parsing.py` is what they call."""
