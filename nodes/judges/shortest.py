"""A judge that prefers the shorter answer, without reading it: a control. Where answers err by saying too much, a tool is
worth what it adds to this."""

from __future__ import annotations

from anyprefer.core.game_state import GameState
from anyprefer.core.records import Judgment
from anyprefer.core.roles import Judge
from anyprefer.core.settings import Settings


class ShortestJudge(Judge):
    """Minus the number of words. Every pair is accepted, where no reward is named; equal lengths make none."""

    name = "shortest (counts words, no model)"
    rated_by = "accept"

    def __init__(self, settings: Settings) -> None:
        """Nothing is set."""

    async def score(self, state: GameState) -> list[Judgment]:
        """0 or less."""
        words = {candidate.index: len(candidate.text.split()) for candidate in state["candidates"]}
        return [Judgment(candidate=index, score=-count, analysis=f"{count} words.") for index, count in words.items()]


offers = ShortestJudge
