"""A reward without a model: `reward = "shorter"`."""

from anyprefer.core.game_state import GameState
from anyprefer.core.records import PreferencePair, Reward
from anyprefer.core.values import as_text


class ShorterReward:
    """Accepts a pair whose chosen answer is the shorter one."""

    name = "shorter (a rule, no model)"

    async def rate(self, state: GameState, pair: PreferencePair) -> Reward:
        """R = 9 or 2."""
        shorter = len(as_text(pair.chosen)) < len(as_text(pair.rejected))
        return Reward(
            score=9 if shorter else 2, analysis=f"The chosen answer is {'' if shorter else 'not '}the shorter."
        )
