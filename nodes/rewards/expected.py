"""R(y+, y-) as the expected digit of a chat model's next token."""

from __future__ import annotations

from anyprefer.core.game_state import GameState
from anyprefer.core.records import PreferencePair, Reward
from anyprefer.models.option_probabilities import DIGITS, expected_score, option_probabilities, read_from
from anyprefer.nodes.rewards.model import ChatReward


class ExpectedReward(ChatReward):
    """R of a model that judges by `judge_form = "expected"`: the expected digit, read from probabilities.

    A small model cannot hold to "score/10". Its digits are seldom sure, so R seldom comes near the ends of 1..10;
    set τ by the rewards of a first run.
    """

    policy = "rewards/expected_policy"
    form = ""

    async def rate(self, state: GameState, pair: PreferencePair) -> Reward:
        """R in 1..10."""
        seed = self._seed(state)
        messages, _ = self._question(state, pair, seed)
        shares = await option_probabilities(self.model, messages, DIGITS, "reward", seed)
        return Reward(score=expected_score(shares), analysis=read_from(shares))


offers = ExpectedReward
