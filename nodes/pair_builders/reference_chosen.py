"""The gold answer is y+ (A.4 for medical data)."""

from __future__ import annotations

from anyprefer.core.game_state import GameState
from anyprefer.core.records import PreferencePair
from anyprefer.tools.reference import verdict


def reference_chosen(state: GameState) -> PreferencePair | str:
    """The gold answer is y+, the target supplies only y- (§3.1, medical image analysis): the worst of those that do
    not agree with it by the rule of the tool `reference`."""
    task, candidates = state["task"], state["candidates"]
    if task.reference is None:
        return "The task has no reference to be the chosen answer."
    agree = [verdict(one.content, task.reference, task.question) for one in candidates]
    wrong = [judgment for judgment in state["judgments"] if agree[judgment.candidate] is False]
    if not wrong:
        return "Every sampled answer agrees with the reference, or does not state one answer that could be compared."
    low = min(wrong, key=lambda judgment: (judgment.score, judgment.candidate))
    return PreferencePair(
        chosen=task.reference,
        rejected=candidates[low.candidate].content,
        rejected_index=low.candidate,
        rejected_score=low.score,
    )


offers = reference_chosen
