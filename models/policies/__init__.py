"""Policies that act in a simulator: `by_name.policy` makes one of a string; `base.py` says what all of them do."""
