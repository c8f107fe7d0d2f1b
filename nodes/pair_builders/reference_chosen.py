"""The gold answer is y+ (A.4 for medical data)."""

from __future__ import annotations

from anyprefer.core.game_state import GameState
from anyprefer.core.records import Candidate, PreferencePair
from anyprefer.core.task import Task
from anyprefer.nodes.pair_builders.question_form import same_form
from anyprefer.tools.knowledge_search import STOPWORDS
from anyprefer.tools.reference import tokens, verdict


def reference_chosen(state: GameState) -> PreferencePair | str:
    """The gold answer is y+, the target supplies only y- (§3.1, medical image analysis): the worst of those that are
    wrong and still answer the question that was asked (D.2: y- is worse, but on topic and fluent).

    Wrong is what the rule of the tool `reference` calls so, and an answer of several statements without one word of the
    gold answer. It answers the question where it is whole and has the gold answer's form (`question_form.py`): a
    question that wants yes or no is not lost to a word, nor the other way round.
    """
    task, candidates = state["task"], state["candidates"]
    gold = gold_answer(task)
    if gold is None:
        return "The task has no reference to be the chosen answer."
    wrong = [judgment for judgment in state["judgments"] if _is_wrong(candidates[judgment.candidate], gold, task)]
    if not wrong:
        return (
            "Every sampled answer agrees with the reference, has another form than it, or does not state one answer that "
            "could be compared."
        )
    low = min(wrong, key=lambda judgment: (judgment.score, judgment.candidate))
    return PreferencePair(
        chosen=gold,
        rejected=candidates[low.candidate].content,
        rejected_index=low.candidate,
        rejected_score=low.score,
    )


def gold_answer(task: Task) -> object:
    """What a right answer says: the reference, or its `answer` where it holds more than that; None without one."""
    reference = task.reference
    return reference.get("answer") if isinstance(reference, dict) and "answer" in reference else reference


def _is_wrong(candidate: Candidate, gold: object, task: Task) -> bool:
    """Plainly another answer than the gold one, and one to the same question."""
    agrees, said = verdict(candidate.content, gold, task.question), candidate.content
    if not isinstance(said, str) or not isinstance(gold, str):
        return agrees is False
    if not candidate.complete or not same_form(said, gold):
        return False
    return agrees is False or (agrees is None and not ({*tokens(gold)} - STOPWORDS) & {*tokens(said)})


offers = reference_chosen
