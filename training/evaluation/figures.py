"""The figures of an evaluation that are no marks, in words: `CHAIR-i 17.3% [15.0%, 19.9%]`."""

from __future__ import annotations

import math
from collections.abc import Mapping

from anyprefer.core.results import EvalResult, Metric
from anyprefer.training.evaluation.statistics import metric_difference, metric_over_tasks


def figures(result: EvalResult) -> dict[str, str]:
    """Each metric with its 95% interval over tasks, by name."""
    return {name: figure(result, name) for name in result.metrics}


def figure(result: EvalResult, name: str) -> str:
    """One metric with its 95% interval over tasks; `undefined` where nothing stands below."""
    metric = result.metrics.get(name)
    if not metric or not result.tallies:
        return "not counted"
    found = metric_over_tasks([result.tallies], metric, result.groups)
    if math.isnan(found.mean):
        return "undefined"
    return " ".join([number(found.mean, metric), f"[{number(found.low, metric)}, {number(found.high, metric)}]"])


def figure_change(first: EvalResult, last: EvalResult, name: str) -> str:
    """What became of a metric, on the tasks counted in both, paired by task."""
    metric = first.metrics[name]
    if not first.tallies.keys() & last.tallies.keys():
        return "no task counted in both"
    found = metric_difference([first.tallies], [last.tallies], metric, first.groups)
    if math.isnan(found.mean):
        return "undefined"
    within = "within" if found.low <= 0 <= found.high else f"{_direction(found.mean, metric)} beyond"
    sign = "+" if found.mean >= 0 else "-"
    return f"{sign}{number(abs(found.mean), metric).replace('%', ' points')}, {within} the interval"


def number(value: float, metric: Metric) -> str:
    """Shares in per cent, others as they are."""
    return f"{value:.1%}" if metric.highest == 1 else f"{value:.2f}"


def heading(name: str, metrics: Mapping[str, Metric]) -> str:
    """A metric's name, with its direction where less is better."""
    return f"{name} (lower is better)" if metrics[name].better == "lower" else name


def _direction(change: float, metric: Metric) -> str:
    if metric.better == "neither":
        return "changed"
    return "better" if (change > 0) == (metric.better == "higher") else "worse"
