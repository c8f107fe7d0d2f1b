"""The gate between iterations: a trained target that answers worse than the one before is not adopted.

Both answered the same held-out tasks, so only the tasks on which they differ say anything: under chance as many are
lost as gained (McNemar 1947, here exact). Each task set is tested, so that what one gains hides nothing that another
lost, and all sets together, since one set alone is often too small to tell; Holm's adjustment keeps the level.

Where an evaluation counts which answers were of the form that was asked for (the tally `in_form`, such as a plain yes or
no), those are tested in the same way: a target trained on long answers may keep its accuracy under a lenient rule and
yet no longer answer shortly, as VLFeedback's did (vlf-silkie/VLFeedback#9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from anyprefer.core.errors import TrainingError
from anyprefer.core.results import EvalResult
from anyprefer.training.evaluation.statistics import at_least, holm

LEVEL = 0.025
"""One-sided; a loss that chance brings less often than this is refused."""
POOLED = "all sets together"
FORM = "in_form"
"""The tally that says whether an answer has the form that was asked for, 0 or 1."""


class Change(BaseModel):
    """What became of the tasks of one set, or of all."""

    model_config = ConfigDict(frozen=True)

    n: int = Field(ge=1)
    """Tasks marked both before and after."""
    before: float = Field(ge=0, le=1)
    """Share of them right before."""
    after: float = Field(ge=0, le=1)
    gained: int = Field(ge=0)
    """Wrong before, right after."""
    lost: int = Field(ge=0)
    """Right before, wrong after."""
    p: float = Field(ge=0, le=1)
    """Chance of so many losses or more if losing and gaining were equally likely."""
    adjusted: float = Field(default=1.0, ge=0, le=1)
    """The same as one of several tests (Holm)."""


class Verdict(BaseModel):
    """What the gate found, kept as `gate.json` beside the evaluation."""

    model_config = ConfigDict(frozen=True)

    adopted: bool
    reason: str = ""
    """Why it was not adopted: each set that fell beyond chance."""
    n: int = Field(ge=1)
    """Tasks of all sets marked both before and after."""
    gained: int = Field(ge=0)
    lost: int = Field(ge=0)
    p: float = Field(ge=0, le=1)
    """The least adjusted p of all tests, which decides."""
    sets: dict[str, Change]
    """By task set; with several also `POOLED`, and `NAME in_form` of sets that count the form."""
    untested: tuple[str, ...] = ()
    """Sets that were reported without marks of the same tasks before and after."""


def judged(before: Mapping[str, EvalResult], after: Mapping[str, EvalResult]) -> Verdict:
    """Compares the marks of the same tasks. Raises `TrainingError` when no task has a mark on both sides."""
    pairs = {name: _pairs(before[name], after[name]) for name in after if name in before}
    pairs = {name: marks for name, marks in pairs.items() if marks}
    every = [mark for marks in pairs.values() for mark in marks]
    if not every:
        raise TrainingError(
            "the gate has nothing to compare: evaluate returned no marks for the same tasks before and after; "
            "give EvalResult.marks, or turn the gate off (gate=False, --no-gate)"
        )
    together = {POOLED: every} if len(pairs) > 1 else {}
    forms = {f"{name} {FORM}": _forms(before[name], after[name]) for name in after if name in before}
    tested = {**pairs, **together, **{name: kept for name, kept in forms.items() if kept}}
    found = {name: _change(marks) for name, marks in tested.items()}
    adjusted = holm({name: change.p for name, change in found.items()})
    sets = {name: change.model_copy(update={"adjusted": adjusted[name]}) for name, change in found.items()}
    fell = [f"{name} {_words(change)}" for name, change in sets.items() if change.adjusted <= LEVEL]
    pooled = sets.get(POOLED) or sets[next(iter(pairs))]
    return Verdict(
        adopted=not fell,
        reason="; ".join(fell),
        n=pooled.n,
        gained=pooled.gained,
        lost=pooled.lost,
        p=min(adjusted.values()),
        sets=sets,
        untested=tuple(name for name in {**before, **after} if name not in pairs),
    )


def _pairs(before: EvalResult, after: EvalResult) -> list[tuple[bool, bool]]:
    return [(mark, after.marks[task]) for task, mark in before.marks.items() if task in after.marks]


def _forms(before: EvalResult, after: EvalResult) -> list[tuple[bool, bool]]:
    """Whether each answer had the form that was asked for, where both count it."""
    then, now = (
        {task: counts[FORM] for task, counts in one.tallies.items() if FORM in counts} for one in (before, after)
    )
    return [(then[task] > 0, now[task] > 0) for task in then if task in now]


def _change(marks: Sequence[tuple[bool, bool]]) -> Change:
    lost, gained = marks.count((True, False)), marks.count((False, True))
    was, now = (sum(mark) / len(marks) for mark in zip(*marks, strict=True))
    return Change(n=len(marks), before=was, after=now, gained=gained, lost=lost, p=at_least(lost, lost + gained))


def _words(change: Change) -> str:
    return (
        f"fell from {change.before:.1%} to {change.after:.1%} ({change.lost} tasks lost, {change.gained} gained, "
        f"n = {change.n}, p = {change.adjusted:.2g})"
    )
