"""Two given ranks (Table 5's ablation uses 3 with 5 and 3 with 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from anyprefer.core.errors import SettingsError
from anyprefer.core.game_state import GameState
from anyprefer.core.records import Candidate, Judgment, PreferencePair


def ranks(better: int, worse: int, candidates: int = 64) -> Callable[[GameState], PreferencePair | str]:
    """The candidates at two ranks of `candidates`, 1 being the best. Raises `SettingsError` for ranks outside of them."""
    if not 1 <= better < worse <= candidates:
        raise SettingsError(f"ranks({better},{worse}) needs 1 <= i < j <= {candidates}, the number of candidates")

    def build(state: GameState) -> PreferencePair | str:
        return of_ranks(state, better, worse)

    return build


def of_ranks(state: GameState, better: int, worse: int) -> PreferencePair | str:
    """The pair of two ranks; instead of a better one that is cut off the next whole one is y+."""
    candidates, judgments = state["candidates"], state["judgments"]
    if len(candidates) < worse:
        return f"Only {len(candidates)} different answers were sampled. The answers should differ."
    if len(judgments) < worse:
        return f"Only {len(judgments)} of {len(candidates)} answers could be judged; each should state one answer."
    ranked = sorted(judgments, key=lambda judgment: (-judgment.score, judgment.candidate))
    top = next((one for one in ranked[better - 1 : worse - 1] if candidates[one.candidate].complete), None)
    if top is None:
        return _all_flawed(candidates)
    low = ranked[worse - 1]
    return pair_of(candidates, top, low)


def pair_of(candidates: Sequence[Candidate], top: Judgment, low: Judgment) -> PreferencePair:
    """The pair of two judged candidates, the better one first."""
    return PreferencePair(
        chosen=candidates[top.candidate].content,
        rejected=candidates[low.candidate].content,
        chosen_index=top.candidate,
        rejected_index=low.candidate,
        chosen_score=top.score,
        rejected_score=low.score,
    )


def _all_flawed(candidates: Sequence[Candidate]) -> str:
    flawed = sum(not candidate.complete for candidate in candidates)
    return (
        f"{flawed} of {len(candidates)} answers were cut off at the token limit, filtered or refused, the better "
        "ones among them, so none can be chosen: answers should be shorter, or max_new_tokens higher."
    )


offers = ranks
