"""A judge that ranks by chance, without any model: what training on any pairs at all is worth, the lower bound of a table."""

from __future__ import annotations

import random

from anyprefer.core.game_state import GameState
from anyprefer.core.records import Judgment
from anyprefer.core.roles import Judge
from anyprefer.core.settings import Settings
from anyprefer.core.values import derive_seed


class ChanceJudge(Judge):
    """Scores that depend on the run's seed, the task, the round and the candidate's place alone. Every pair is accepted,
    where no reward is named."""

    name = "chance (random scores, no model)"
    rated_by = "accept"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    async def score(self, state: GameState) -> list[Judgment]:
        """1..10, drawn evenly."""
        seed = derive_seed(self.settings.seed, state["task"].id, len(state["rounds"]), "chance")
        drawn = random.Random(seed)
        return [
            Judgment(candidate=candidate.index, score=round(drawn.uniform(1, 10), 6), analysis="Drawn by chance.")
            for candidate in state["candidates"]
        ]


offers = ChanceJudge
