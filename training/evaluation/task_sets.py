"""Held-out task sets that are marked without a judge: families that come with the package, and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from anyprefer.core.errors import InputError, near
from anyprefer.core.input_rows import BadRow
from anyprefer.core.inputs import read_tasks
from anyprefer.core.results import Metric
from anyprefer.core.task import Task
from anyprefer.core.values import as_text
from anyprefer.tools.reference import agrees
from anyprefer.training.evaluation.benchmarks import BENCHMARKS
from anyprefer.training.evaluation.controls import Shown, with_images
from anyprefer.training.evaluation.evaluate import IsCorrect, Tally
from anyprefer.training.evaluation.families import FAMILIES


class TaskSet(NamedTuple):
    """Tasks, and how their answers are marked and counted."""

    tasks: Sequence[Task]
    is_correct: IsCorrect
    tally: Tally | None = None
    metrics: Mapping[str, Metric] | None = None


def is_asked_elsewhere(name: str) -> bool:
    """Whether it is a benchmark that asks by itself: GSM8K, ARC, AlpacaEval."""
    return name in BENCHMARKS and name not in FAMILIES


def task_set(name: str, limit: int | None, seed: int, columns: Mapping[str, str], images: Shown = "shown") -> TaskSet:
    """The tasks of a family or a file with their `images` shown so, and the rule that marks them.

    Raises `InputError` for what is neither, and for a row that is no task or has no reference: an evaluation leaves none
    out.
    """
    if name in FAMILIES:
        family = FAMILIES[name]
        made = with_images(family.make(limit or family.tasks, seed, "heldout"), images)
        return TaskSet(made, family.is_correct, family.tally, family.metrics)
    if ":" not in name and not Path(name).exists():
        raise InputError(f"{name} is neither a file nor a benchmark; {near(name, BENCHMARKS.names())}")
    tasks = list[Task]()
    for task in islice(read_tasks(name, columns), limit):
        if isinstance(task, BadRow):
            raise InputError(task.error)
        if task.reference is None:
            raise InputError(
                f"{name}, task {task.id}: no reference to mark with; map one with --column reference=COLUMN"
            )
        tasks.append(task)
    return TaskSet(with_images(tasks, images), lambda task, answer: agrees(answer, as_text(task.reference)))
