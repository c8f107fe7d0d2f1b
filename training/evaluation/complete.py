"""Whether a step came to enough for the next one: what an outage left over is neither trained on nor taken for a result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from anyprefer.core.errors import INTERRUPT, BudgetSpent, RunStopped, TrainingError
from anyprefer.core.results import EvalResult
from anyprefer.graph.play_task import mostly_failed
from anyprefer.graph.runs.ledger import reasons
from anyprefer.graph.runs.runner import Synthesis


def check_ended(run: Synthesis) -> None:
    """Raises what ended a run before its tasks did: Ctrl-C or a spent budget. Having as many pairs as were wanted does
    not."""
    if run.stopped == INTERRUPT:
        raise KeyboardInterrupt
    if isinstance(run.calls.stopped, BudgetSpent):
        raise run.calls.stopped


def check_counts(folder: Path, number: int) -> dict[str, int]:
    """The rows of iteration `number`'s run by outcome.

    Raises `RunStopped` when most of them failed, since what is left is no sample of the tasks, and `TrainingError` when
    none was accepted.
    """
    counts: dict[str, int] = json.loads((folder / "run.json").read_text(encoding="utf-8"))["counts"]
    if counts["failed"] and mostly_failed(counts):
        why = next((reason for outcome, reason in reasons(folder) if outcome == "failed"), "")
        raise RunStopped(
            f"iteration {number} is not trained on what is left, since most tasks failed: {counts['failed']} of "
            f"{sum(counts.values())} ({why}); when that is fixed, the same command plays them again"
        )
    if not counts["accepted"]:
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise TrainingError(f"iteration {number} accepted no pair ({told}); see the reasons in {folder}")
    return counts


def mostly_unscored(results: Mapping[str, EvalResult]) -> str:
    """What is to be said of the first task set most of whose tasks have no answer; empty where there is none."""
    for name, result in results.items():
        if result.unscored > result.n:
            return (
                f"{result.unscored} of {result.unscored + result.n} tasks of {name} have no answer "
                f"({result.first_error})"
            )
    return ""


def check_scored(results: Mapping[str, EvalResult], number: int) -> None:
    """Raises `RunStopped` when most tasks of a set have no answer, which says nothing of the target."""
    if missing := mostly_unscored(results):
        when = f"of iteration {number}" if number else "before training"
        raise RunStopped(
            f"the evaluation {when} is not kept: {missing}; when that is fixed, the same command asks them again"
        )
