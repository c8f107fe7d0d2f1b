"""Step 5 of Algorithm 1: the ranking becomes (y+, y-), or the reason why not (§2.2; A.4 for medical data).

A builder is a function from a round's candidates and judgments to a pair or a reason. Equal scores
and margins not above the minimum form no pair: the reason is feedback for the next round.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from anyprefer.core.game_state import GameState
from anyprefer.core.records import Candidate, PreferencePair
from anyprefer.core.roles import Builder
from anyprefer.core.values import as_text


def pair(build: Builder, min_margin: float) -> Callable[[GameState], Awaitable[GameState]]:
    """The node."""

    async def run(state: GameState) -> GameState:
        built = build(state["task"], state["candidates"], state["judgments"])
        if built is None:
            built = "The pair builder formed no pair."
        if not isinstance(built, str | PreferencePair):
            raise TypeError(
                f"the pair builder returned {type(built).__name__}; it returns a PreferencePair or a reason"
            )
        if not isinstance(built, str) and as_text(built.chosen) == as_text(built.rejected):
            built = "The better and the worse answer are the same text."
        if not isinstance(built, str) and not _whole(state["candidates"], built.chosen_index):
            built = "The better answer is cut off, filtered or refused, so it cannot be chosen."
        if not isinstance(built, str) and built.margin is not None and built.margin <= min_margin:
            built = (
                f"The judge scored the better answer {built.chosen_score:g} and the worse one {built.rejected_score:g}; "
                f"a pair needs a margin above {min_margin:g}. The answers should differ more in quality."
            )
        if isinstance(built, str):
            return {"pair": None, "pair_note": built}
        return {"pair": built, "pair_note": ""}

    return run


def _whole(candidates: Sequence[Candidate], index: int | None) -> bool:
    return index is None or candidates[index].complete
