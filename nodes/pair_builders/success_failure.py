"""A success against a failure of the same start state (§3.1, visuo-motor control; GRAPE collects until it has both)."""

from __future__ import annotations

from anyprefer.core.game_state import GameState
from anyprefer.core.records import PreferencePair
from anyprefer.core.trajectories import Trajectory
from anyprefer.nodes.pair_builders.ranks import pair_of


def success_failure(state: GameState) -> PreferencePair | str:
    """Of the trajectories that succeeded the one with the highest score is y+, of the others the one with the lowest y-."""
    candidates = state["candidates"]
    told = {one.candidate: Trajectory.of(candidates[one.candidate].content).success for one in state["judgments"]}
    good = [one for one in state["judgments"] if told[one.candidate] is True]
    bad = [one for one in state["judgments"] if told[one.candidate] is False]
    if not good or not bad:
        found = f"{len(good)} succeeded and {len(bad)} failed of {len(candidates)} trajectories"
        return f"{found}; a pair needs one of each from the same start."
    top = max(good, key=lambda one: (one.score, -one.candidate))
    low = min(bad, key=lambda one: (one.score, one.candidate))
    return pair_of(candidates, top, low)


offers = success_failure
