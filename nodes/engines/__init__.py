"""Who rewrites prompts: one file each, its prompts beside it.

An engine is an `Engine` of core/roles.py whose class takes `settings`, `model`, both or nothing. It is named
`engine = "NAME"`, which gives it the judge's model, or `engine = "NAME:MODEL"`; a model string alone is played by
`textgrad`. Packages offer theirs in the group `anyprefer.engines`.
"""

from anyprefer.core.registry import Registry

ENGINES = Registry("engine", __name__)
