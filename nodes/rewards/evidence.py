"""A reward without any model: how clear the gap between the verdicts on y+ and y- is."""

from __future__ import annotations

from anyprefer.core.game_state import GameState
from anyprefer.core.records import PreferencePair, Reward

CLEAR_GAP = 0.5
"""Difference of verdicts (of 0..1) from which on a rejected answer counts as clearly worse."""


class EvidenceReward:
    """Rates a pair by its evidence scores; a reference as chosen counts as fully right."""

    name = "evidence (rules over tool verdicts, no model)"

    async def rate(self, state: GameState, pair: PreferencePair) -> Reward:
        """R in 1..10 by the module's formula."""
        chosen = 1.0 if pair.chosen_score is None else (pair.chosen_score - 1) / 9
        rejected = 0.0 if pair.rejected_score is None else (pair.rejected_score - 1) / 9
        gap = min(1.0, max(0.0, chosen - rejected) / CLEAR_GAP)
        score = round(1 + 9 * chosen * gap, 6)
        return Reward(
            score=score,
            analysis=f"Evidence for the positive response {chosen:.2f}, for the negative {rejected:.2f} (of 0..1): "
            f"{'the positive response is not right enough' if chosen < 0.75 else 'the positive response holds'}, "
            f"{'the negative one is not clearly worse' if gap < 1 else 'the negative one is clearly worse'}.",
        )


offers = EvidenceReward
