"""Simulators of a robot's tasks behind gymnasium's interface; `by_name.py` makes one from its name."""
