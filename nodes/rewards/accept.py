"""A reward that accepts every pair: the reward off, as an ablation."""

from __future__ import annotations

from anyprefer.core.game_state import GameState
from anyprefer.core.records import PreferencePair, Reward


class AcceptReward:
    """No reward model: every pair that was formed is accepted, as in methods that have none."""

    name = "accept (every pair, no reward model)"

    async def rate(self, state: GameState, pair: PreferencePair) -> Reward:
        """R = 10."""
        return Reward(score=10, analysis="Every pair that is formed is accepted.")


offers = AcceptReward
