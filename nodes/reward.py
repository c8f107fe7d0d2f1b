"""Step 6 of Algorithm 1: R(y+, y-) rates the pair as preference-training data (§2.3, Appendix D.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from anyprefer.core.errors import ModelError
from anyprefer.core.game_state import GameState
from anyprefer.core.records import Reward, Round
from anyprefer.core.roles import RewardModel
from anyprefer.core.settings import Settings


def reward(model: RewardModel, settings: Settings) -> Callable[[GameState], Awaitable[GameState]]:
    """The node. Rates the pair, closes the round and says how the game goes on. Refuses a score outside of 1..10."""

    async def run(state: GameState) -> GameState:
        formed = state["pair"]
        rated = await model.rate(state, formed) if formed else None
        if rated is not None and not 1 <= rated.score <= 10:
            raise ModelError(f"reward {model.name} gave the score {rated.score}, which is not from 1 to 10")
        closed = close_round(state, rated, rated.analysis if rated else state["pair_note"])
        return {
            "reward": rated,
            "rounds": [*state["rounds"], closed],
            "outcome": decide(rated, closed.number, settings.threshold, settings.max_rounds),
        }

    return run


def close_round(state: GameState, rated: Reward | None, feedback: str) -> Round:
    """The current round as a record; one that an error ended holds what there was until then."""
    return Round(
        number=len(state["rounds"]) + 1,
        prompts=state["prompts"],
        selected=tuple(state["selected"]),
        candidates=tuple(state["candidates"]),
        knowledge=(*state["task_knowledge"], *state["candidate_knowledge"]),
        context=state["context"],
        judgments=tuple(state["judgments"]),
        pair=state["pair"],
        reward=rated,
        feedback=feedback,
    )


def decide(
    rated: Reward | None, round_number: int, threshold: float, max_rounds: int
) -> Literal["accepted", "rejected", "again"]:
    """R ≥ τ accepts; otherwise the game goes on until the rounds are spent. Pure."""
    if rated is not None and rated.score >= threshold:
        return "accepted"
    return "again" if round_number < max_rounds else "rejected"
