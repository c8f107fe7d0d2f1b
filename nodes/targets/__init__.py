"""Who samples candidates: one file each.

A target is a `Target` of core/roles.py whose class takes `settings`, `argument`, `model`, `checkpoint`, any of them or
nothing. It is named `target = "NAME"` or `target = "NAME:ARGUMENT"`: the argument is a string that it alone reads, or the
model string of its `model`; either is its `checkpoint` too, what a trainer starts from. A model string alone is played by `chat`. Packages offer theirs in the group `anyprefer.targets`.
"""

from anyprefer.core.registry import Registry

TARGETS = Registry("target", __name__, unlisted=["chat"])
