"""The gate between iterations: a trained target that answers worse than the one before is not adopted.

Both answered the same held-out tasks, so only the tasks on which they differ say anything: under chance as many are
lost as gained (McNemar 1947, here exact). The sets are pooled, since one set alone is often too small to tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import comb

from pydantic import BaseModel, ConfigDict, Field

from anyprefer.graph.errors import TrainingError
from anyprefer.training.evaluate import EvalResult

LEVEL = 0.025
"""One-sided; a loss that chance brings less often than this is refused."""


class Verdict(BaseModel):
    """What the gate found, kept as `gate.json` beside the evaluation."""

    model_config = ConfigDict(frozen=True)

    adopted: bool
    reason: str = ""
    """Why it was not adopted."""
    n: int = Field(ge=1)
    """Tasks marked both before and after."""
    gained: int = Field(ge=0)
    """Wrong before, right after."""
    lost: int = Field(ge=0)
    """Right before, wrong after."""
    p: float = Field(ge=0, le=1)
    """Chance of so many losses or more if losing and gaining were equally likely."""


def judged(before: Mapping[str, EvalResult], after: Mapping[str, EvalResult]) -> Verdict:
    """Compares the marks of the same tasks. Raises `TrainingError` when no task has a mark on both sides."""
    old, new = _marks(before), _marks(after)
    both = old.keys() & new.keys()
    if not both:
        raise TrainingError(
            "the gate has nothing to compare: evaluate returned no marks for the same tasks before and after; "
            "give EvalResult.marks, or turn the gate off (gate=False, --no-gate)"
        )
    gained = sum(new[task] and not old[task] for task in both)
    lost = sum(old[task] and not new[task] for task in both)
    p = at_least(lost, gained + lost)
    was, now = (sum(marks[task] for task in both) / len(both) for marks in (old, new))
    reason = (
        f"accuracy fell from {was:.1%} to {now:.1%} ({lost} tasks lost, {gained} gained, n = {len(both)}, p = {p:.2g})"
    )
    refused = p <= LEVEL
    return Verdict(adopted=not refused, reason=reason if refused else "", n=len(both), gained=gained, lost=lost, p=p)


def at_least(heads: int, tosses: int) -> float:
    """Probability of so many heads or more in tosses of a fair coin."""
    return sum(comb(tosses, count) for count in range(heads, tosses + 1)) / (1 << tosses)


def _marks(results: Mapping[str, EvalResult]) -> dict[tuple[str, str], bool]:
    return {(name, task): mark for name, result in results.items() for task, mark in result.marks.items()}
