"""Who rates pairs: one file each, its prompts beside it.

A reward is a `RewardModel` of core/roles.py whose class takes `settings`, `model`, both or nothing. It is named
`reward = "NAME"`, which gives it the judge's model, or `reward = "NAME:MODEL"`; a model string alone is played by
`model`. Packages offer theirs in the group `anyprefer.rewards`.
"""

from anyprefer.core.registry import Registry

REWARDS = Registry("reward", __name__)
