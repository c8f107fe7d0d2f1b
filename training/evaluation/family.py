"""What a task family is: a kind of task that can be made in any number and marked without a judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from anyprefer.core.results import Metric
from anyprefer.core.task import Task

Split = Literal["train", "dev", "heldout"]
"""`dev`, of families that have one, is what settings are chosen on."""
Make = Callable[[int, int, Split], list[Task]]
"""(n, seed, split) to n tasks; raises `InputError` when there are not so many, and for a split there is not."""


@dataclass(frozen=True)
class Family:
    """A kind of task that can be made in any number and marked without a judge."""

    name: str
    make: Make
    is_correct: Callable[[Task, str], bool]
    """Is the answer right, by the rule in `description`?"""
    description: str
    tally: Callable[[Task, str], Mapping[str, float]] | None = None
    """What is counted in an answer beside being right (`EvalResult.tallies`)."""
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    """What the tallies come to."""
    max_tokens: int = 24
    """Longest answer that is asked for."""
    tasks: int = 200
    """Held-out tasks where no number is given."""
