"""Held-out accuracies of arms as tables: intervals over seeds and tasks, each seed's number and the paper's beside.

Held-out tasks are the same for every arm and seed, so two arms are compared task by task.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from anyprefer.training.analysis.plots import Point
from anyprefer.training.analysis.report import Cell, Table
from anyprefer.training.evaluation.statistics import SEEDS, mean_over_tasks, paired_difference
from anyprefer.training.experiments.lab import Outcome

Marks = list[list[bool]]
"""(seeds, tasks), tasks in the order of their ids."""


@dataclass(frozen=True)
class Line:
    """A row of a table: outcomes of one arm, looked at after an iteration (0: before training)."""

    title: str
    outcomes: Sequence[Outcome]
    iteration: int
    failure: str = ""
    """Why there are no outcomes."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds behind it."""
        return tuple(outcome.seed for outcome in self.outcomes)

    def of(self, seeds: Sequence[int]) -> Line:
        """The same with these seeds only."""
        return replace(self, outcomes=[outcome for outcome in self.outcomes if outcome.seed in seeds])

    def tasks(self, benchmark: str) -> set[str]:
        """The tasks that are marked under every seed."""
        return set.intersection(*(set(outcome.marks(benchmark, self.iteration)) for outcome in self.outcomes))

    def marks(self, benchmark: str, tasks: Iterable[str]) -> Marks:
        """Whether each of the tasks was answered rightly."""
        ordered = sorted(tasks)
        return [[outcome.marks(benchmark, self.iteration)[task] for task in ordered] for outcome in self.outcomes]


def accuracies(name: str, title: str, lines: Sequence[Line], benchmarks: Sequence[str], note: str = "") -> Table:
    """Accuracy of every line on every benchmark, 0..1, and the mean of the benchmarks."""
    rows: list[list[str | Cell]] = []
    for line in lines:
        cells = [_accuracy(line, benchmark) for benchmark in benchmarks]
        values = [cell.value for cell in cells if cell.value is not None]
        mean = Cell(sum(values) / len(values) if len(values) == len(cells) else None, form=".1%")
        rows.append([line.title, *cells, mean])
    return Table(name, title, ("arm", *benchmarks, "mean"), rows, note)


def differences(name: str, title: str, ours: Line, others: Sequence[Line], benchmarks: Sequence[str]) -> Table:
    """`ours` minus each other line on the same tasks, with its 95% interval; above 0: ours is better."""
    rows: list[list[str | Cell]] = [
        [f"{ours.title} minus {other.title}", *(_difference(ours, other, benchmark) for benchmark in benchmarks)]
        for other in others
    ]
    note = (
        "Paired by task and seed. With one seed the interval is over tasks alone and says nothing of another seed. "
        f"* {SEEDS} seeds or more, and the interval leaves out 0."
    )
    return Table(name, title, ("difference", *benchmarks), rows, note)


def points(line: Line, benchmarks: Sequence[str]) -> list[Point | None]:
    """A line's accuracies as a plot takes them."""
    cells = [_accuracy(line, benchmark) for benchmark in benchmarks]
    return [None if cell.value is None else Point(cell.value, cell.low, cell.high) for cell in cells]


def _accuracy(line: Line, benchmark: str) -> Cell:
    if not line.outcomes:
        return Cell(None, text=line.failure or "not run")
    marks = line.marks(benchmark, line.tasks(benchmark))
    found = mean_over_tasks(marks)
    each = _unlike([sum(one) / len(one) for one in marks])
    return Cell(found.mean, found.n, line.seeds, each, found.low, found.high, form=".1%")


def _difference(ours: Line, other: Line, benchmark: str) -> Cell:
    both = [seed for seed in ours.seeds if seed in other.seeds]
    if not both:
        return Cell(None, text=other.failure or "no seed in common")
    first, second = other.of(both), ours.of(both)
    tasks = first.tasks(benchmark) & second.tasks(benchmark)
    found = paired_difference(first.marks(benchmark, tasks), second.marks(benchmark, tasks))
    star = "*" if found.starred else ""
    each = _unlike(found.by_seed)
    return Cell(found.mean, found.tasks, tuple(both), each, found.low, found.high, form="+.1%", text=star)


def _unlike(values: Sequence[float]) -> tuple[float, ...]:
    """The values, where there are several and they differ."""
    return tuple(values) if len(set(values)) > 1 else ()
