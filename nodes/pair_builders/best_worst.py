"""The best and the worst candidate (§2.2)."""

from __future__ import annotations

from anyprefer.core.game_state import GameState
from anyprefer.core.records import PreferencePair
from anyprefer.nodes.pair_builders.ranks import of_ranks


def best_worst(state: GameState) -> PreferencePair | str:
    """The paper's default: the top-scoring and the lowest-scoring candidate."""
    return of_ranks(state, 1, max(2, len(state["judgments"])))


offers = best_worst
