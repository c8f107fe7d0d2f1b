"""Step 5 of Algorithm 1: the ranking becomes (y+, y-), or the reason why not (§2.2; A.4 for medical data).

A builder is a function from a round's candidates and judgments to a pair or a reason. Equal scores
and margins not above the minimum form no pair: the reason is feedback for the next round.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

from anyprefer.graph.errors import SettingsError
from anyprefer.graph.state import Candidate, GameState, Judgment, PreferencePair, Task, as_text
from anyprefer.tools.reference import verdict

Builder = Callable[[Task, Sequence[Candidate], Sequence[Judgment]], PreferencePair | str | None]


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


def pair_builder(name: str, candidates: int) -> Builder:
    """The builder a setting names: `best_worst`, `ranks(i,j)` or `reference_chosen`.

    Raises `SettingsError` for anything else and for ranks outside 1..candidates.
    """
    if name == "best_worst":
        return best_worst
    if name == "reference_chosen":
        return reference_chosen
    match = re.fullmatch(r"ranks\((\d+),\s*(\d+)\)", name)
    if match is None:
        raise SettingsError(f"setting 'pair': {name!r} is none of best_worst, ranks(i,j), reference_chosen")
    better, worse = int(match[1]), int(match[2])
    if not 1 <= better < worse <= candidates:
        raise SettingsError(f"setting 'pair': {name!r} needs 1 <= i < j <= {candidates}, the number of candidates")
    return ranks(better, worse)


def best_worst(
    task: Task, candidates: Sequence[Candidate], judgments: Sequence[Judgment]
) -> PreferencePair | str | None:
    """The paper's default: the top-scoring and the lowest-scoring candidate."""
    return ranks(1, max(2, len(judgments)))(task, candidates, judgments)


def ranks(better: int, worse: int) -> Callable[[Task, Sequence[Candidate], Sequence[Judgment]], PreferencePair | str]:
    """The candidates at two ranks, 1 being the best (Table 5's ablation uses 3 with 5 and 3 with 1); instead of one
    that is cut off the next whole one is y+."""

    def build(task: Task, candidates: Sequence[Candidate], judgments: Sequence[Judgment]) -> PreferencePair | str:
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


def reference_chosen(
    task: Task, candidates: Sequence[Candidate], judgments: Sequence[Judgment]
) -> PreferencePair | str:
    """The gold answer is y+, the target supplies only y- (§3.1, medical image analysis): the worst of those that do
    not agree with it by the rule of the tool `reference`."""
    if task.reference is None:
        return "The task has no reference to be the chosen answer."
    agree = [verdict(one.content, task.reference, task.question) for one in candidates]
    wrong = [judgment for judgment in judgments if agree[judgment.candidate] is False]
    if not wrong:
        return "Every sampled answer agrees with the reference, or does not state one answer that could be compared."
    low = min(wrong, key=lambda judgment: (judgment.score, judgment.candidate))
    return PreferencePair(
        chosen=task.reference,
        rejected=candidates[low.candidate].content,
        rejected_index=low.candidate,
        rejected_score=low.score,
    )
