"""Tables whose cells are accuracies or other figures of held-out tasks (CHAIR, F1 of mentions, recall), arm by arm.

Intervals are over seeds and tasks; differences are paired by both. A figure says whether less of it is better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from anyprefer.core.results import EvalResult, Metric
from anyprefer.training.analysis.plots import Point
from anyprefer.training.analysis.report import Cell, Table
from anyprefer.training.evaluation.statistics import (
    SEEDS,
    Difference,
    Estimate,
    mean_over_tasks,
    metric_difference,
    metric_over_tasks,
    paired_difference,
)
from anyprefer.training.experiments.accuracy_tables import Line


@dataclass(frozen=True)
class Column:
    """What a column shows of a benchmark: one of its metrics, or its accuracy where none is named."""

    title: str
    benchmark: str
    metric: str = ""


def table(name: str, title: str, lines: Sequence[Line], columns: Sequence[Column], note: str = "") -> Table:
    """Every line's figures."""
    rows: list[list[str | Cell]] = [[line.title, *(_cell(line, column) for column in columns)] for line in lines]
    return Table(name, title, ("arm", *_heads(lines, columns)), rows, note)


def difference_table(name: str, title: str, ours: Line, others: Sequence[Line], columns: Sequence[Column]) -> Table:
    """`ours` minus each other line on the same tasks, with its 95% interval."""
    rows: list[list[str | Cell]] = [
        [f"{ours.title} minus {other.title}", *(_difference(ours, other, column) for column in columns)]
        for other in others
    ]
    note = (
        "Paired by task and seed. With one seed the interval is over tasks alone and says nothing of another seed. "
        f"* {SEEDS} seeds or more, and the interval leaves out 0."
    )
    return Table(name, title, ("difference", *_heads([ours, *others], columns)), rows, note)


def points(line: Line, columns: Sequence[Column]) -> list[Point | None]:
    """A line's figures as a plot takes them."""
    cells = [_cell(line, column) for column in columns]
    return [None if cell.value is None else Point(cell.value, cell.low, cell.high) for cell in cells]


def _heads(lines: Sequence[Line], columns: Sequence[Column]) -> list[str]:
    """Titles, with an arrow down where less is better."""
    results = [result for line in lines for column in columns for result in _results(line, column)]
    lower = {name for result in results for name, metric in result.metrics.items() if metric.better == "lower"}
    return [f"{column.title} ↓" if column.metric in lower else column.title for column in columns]


def _results(line: Line, column: Column) -> list[EvalResult]:
    """A seed each; empty where the benchmark was not measured."""
    found = [outcome.iterations[line.iteration].results.get(column.benchmark) for outcome in line.outcomes]
    return [result for result in found if result is not None]


def _cell(line: Line, column: Column) -> Cell:
    results = _results(line, column)
    if not results:
        return Cell(None, text=line.failure or "not run")
    metric = results[0].metrics.get(column.metric)
    if column.metric and metric is None:
        return Cell(None, text="not counted")
    if metric is None:
        found = mean_over_tasks(line.marks(column.benchmark, line.tasks(column.benchmark)))
        return _filled(found, line.seeds, [result.accuracy for result in results], ".1%")
    found = metric_over_tasks([result.tallies for result in results], metric, results[0].groups)
    return _filled(found, line.seeds, [result.value(column.metric) for result in results], _form(metric))


def _filled(found: Estimate, seeds: tuple[int, ...], each: Sequence[float], form: str) -> Cell:
    if math.isnan(found.mean):
        return Cell(None, text="undefined")
    told = tuple(each) if len(set(each)) > 1 else ()
    return Cell(found.mean, found.n, seeds, told, found.low, found.high, form=form)


def _difference(ours: Line, other: Line, column: Column) -> Cell:
    both = [seed for seed in ours.seeds if seed in other.seeds]
    first, second = other.of(both), ours.of(both)
    before, after = _results(first, column), _results(second, column)
    if not both or not before or not after:
        return Cell(None, text=other.failure or "no seed in common")
    metric = before[0].metrics.get(column.metric)
    if column.metric and metric is None:
        return Cell(None, text="not counted")
    found = _compared(first, second, column, metric)
    if math.isnan(found.mean):
        return Cell(None, text="undefined")
    form, each = f"+{_form(metric) if metric else '.1%'}", found.by_seed if len(set(found.by_seed)) > 1 else ()
    star = "*" if found.starred else ""
    return Cell(found.mean, found.tasks, tuple(both), each, found.low, found.high, form=form, text=star)


def _compared(first: Line, second: Line, column: Column, metric: Metric | None) -> Difference:
    if metric is None:
        tasks = first.tasks(column.benchmark) & second.tasks(column.benchmark)
        return paired_difference(first.marks(column.benchmark, tasks), second.marks(column.benchmark, tasks))
    before, after = _results(first, column), _results(second, column)
    tallies = [[result.tallies for result in some] for some in (before, after)]
    return metric_difference(tallies[0], tallies[1], metric, before[0].groups)


def _form(metric: Metric) -> str:
    return ".1%" if metric.highest == 1 else ".2f"
