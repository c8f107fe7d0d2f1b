"""Steps 5 and 6 of Algorithm 1: the pair, then R(y+, y-), which rates it as preference-training data (§2.3, Appendix D.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from anyprefer.core.errors import ModelError
from anyprefer.core.game_state import GameState
from anyprefer.core.records import PreferencePair, Reward, Round
from anyprefer.core.roles import Builder, RewardModel
from anyprefer.core.settings import Settings
from anyprefer.nodes.pair import pair


def reward(build: Builder, model: RewardModel, settings: Settings) -> Callable[[GameState], Awaitable[GameState]]:
    """The node. Forms and rates the pair, closes the round and says how the game continues. Refuses a score outside of
    1..10."""
    form = pair(build, settings.min_margin)

    async def run(state: GameState) -> GameState:
        formed = await form(state)
        if isinstance(formed, str):
            return _closed(state, settings, None, None, formed)
        rated = await model.rate(state, formed)
        if not 1 <= rated.score <= 10:
            raise ModelError(f"reward {model.name} gave the score {rated.score}, which is not from 1 to 10")
        return _closed(state, settings, formed, rated, rated.analysis)

    return run


def _closed(
    state: GameState, settings: Settings, formed: PreferencePair | None, rated: Reward | None, feedback: str
) -> GameState:
    closed = close_round(state, formed, rated, feedback)
    outcome = decide(rated, closed.number, settings.threshold, settings.max_rounds)
    return {"pair": formed, "rounds": [*state["rounds"], closed], "outcome": outcome}


def close_round(state: GameState, formed: PreferencePair | None, rated: Reward | None, feedback: str) -> Round:
    """The current round as a record; one that an error ended holds what the steps before made."""
    return Round(
        number=len(state["rounds"]) + 1,
        prompts=state["prompts"],
        selected=tuple(state["selected"]),
        candidates=tuple(state["candidates"]),
        knowledge=(*state["task_knowledge"], *state["candidate_knowledge"]),
        context=state["context"],
        judgments=tuple(state["judgments"]),
        pair=formed,
        reward=rated,
        feedback=feedback,
    )


def decide(
    rated: Reward | None, round_number: int, threshold: float, max_rounds: int
) -> Literal["accepted", "rejected", "again"]:
    """R ≥ τ accepts; otherwise the game continues until the rounds are spent. Pure."""
    if rated is not None and rated.score >= threshold:
        return "accepted"
    return "again" if round_number < max_rounds else "rejected"
