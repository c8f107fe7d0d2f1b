"""The ranking becomes (y+, y-): best and worst (§2.2), or two given ranks."""

from __future__ import annotations

from collections.abc import Callable

from anyprefer.core.game_state import GameState
from anyprefer.core.records import PreferencePair


def best_worst(state: GameState) -> PreferencePair | str | None:
    """The paper's default: the top-scoring and the lowest-scoring candidate."""
    return ranks(1, max(2, len(state["judgments"])))(state)


def ranks(better: int, worse: int) -> Callable[[GameState], PreferencePair | str]:
    """The candidates at two ranks, 1 being the best (Table 5's ablation uses 3 with 5 and 3 with 1); instead of one
    that is cut off the next whole one is y+."""

    def build(state: GameState) -> PreferencePair | str:
        candidates, judgments = state["candidates"], state["judgments"]
        if len(candidates) < worse:
            return f"Only {len(candidates)} different answers were sampled. The answers should differ."
        if len(judgments) < worse:
            return f"Only {len(judgments)} of {len(candidates)} answers could be judged; each should state one answer."
        ranked = sorted(judgments, key=lambda judgment: (-judgment.score, judgment.candidate))
        top = next((one for one in ranked[better - 1 : worse - 1] if candidates[one.candidate].complete), None)
        if top is None:
            flawed = sum(not candidate.complete for candidate in candidates)
            return (
                f"{flawed} of {len(candidates)} answers were cut off at the token limit, filtered or refused, the better "
                "ones among them, so none can be chosen: answers should be shorter, or max_new_tokens higher."
            )
        low = ranked[worse - 1]
        return PreferencePair(
            chosen=candidates[top.candidate].content,
            rejected=candidates[low.candidate].content,
            chosen_index=top.candidate,
            rejected_index=low.candidate,
            chosen_score=top.score,
            rejected_score=low.score,
        )

    return build
