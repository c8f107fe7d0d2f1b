"""Step 5 of Algorithm 1: the ranking becomes (y+, y-), or the reason why not (§2.2; A.4 for medical data).

A builder is a function from a round's state to a pair or a reason. Equal scores and margins not above the minimum
form no pair: the reason is feedback for the next round.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from anyprefer.core.game_state import GameState
from anyprefer.core.records import Candidate, PreferencePair
from anyprefer.core.roles import Builder
from anyprefer.core.values import as_text


def pair(build: Builder, min_margin: float) -> Callable[[GameState], Awaitable[PreferencePair | str]]:
    """The first half of the node `reward`: the pair, or why there is none."""

    async def run(state: GameState) -> PreferencePair | str:
        built = build(state)
        if built is None:
            return "The pair builder formed no pair."
        if isinstance(built, str):
            return built
        if not isinstance(built, PreferencePair):
            raise TypeError(
                f"the pair builder returned {type(built).__name__}; it returns a PreferencePair or a reason"
            )
        return _why_not(built, state["candidates"], min_margin) or built

    return run


def _why_not(built: PreferencePair, candidates: Sequence[Candidate], min_margin: float) -> str:
    """What speaks against a pair; nothing where it can be trained on."""
    if as_text(built.chosen) == as_text(built.rejected):
        return "The better and the worse answer are the same text."
    if built.chosen_index is not None and not candidates[built.chosen_index].complete:
        return "The better answer is cut off, filtered or refused, so it cannot be chosen."
    if built.margin is not None and built.margin <= min_margin:
        return (
            f"The judge scored the better answer {built.chosen_score:g} and the worse one {built.rejected_score:g}; "
            f"a pair needs a margin above {min_margin:g}. The answers should differ more in quality."
        )
    return ""
