"""The bootstrap behind `statistics.py`: intervals of a figure of sums over seeds and tasks.

Columns are (seeds, tasks, k): k numbers a task, which are summed; a figure is a function of the k sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from anyprefer.core.results import wilson

DRAWS = 2000
"""Resamples behind a standard error."""
Figure = Callable[[Any], Any]
"""Sums (..., k) to values (...); NaN where it is undefined."""
Limits = tuple[float, float]
"""Least and greatest value of a figure."""
NONE: Limits = (-math.inf, math.inf)


def interval(columns: Any, figure: Figure, seed: int, limits: Limits = NONE) -> tuple[float, float, float]:
    """95% interval of the figure, and the two-sided p that it is 0."""
    mean = float(figure(columns.sum(axis=(0, 1))))
    tasks = taking_part(columns)
    each = figure(columns)
    each = each[np.isfinite(each)]
    if math.isnan(mean):
        return *limits, 1.0
    if each.size and np.ptp(each) == 0:
        return *_all_alike(mean, tasks, limits), _sign_test(mean, tasks)
    error, degrees = _standard_error(columns, figure, np.random.default_rng(seed))
    if not error:  # nothing that could be drawn again differs
        return (*limits, 1.0) if each.size else (*_all_alike(mean, tasks, limits), _sign_test(mean, tasks))
    half = float(stats.t.ppf(0.975, degrees)) * error
    p = 2 * float(stats.t.sf(abs(mean) / error, degrees))
    return max(limits[0], mean - half), min(limits[1], mean + half), p


def taking_part(columns: Any) -> int:
    """How many of the tasks have anything in the figure: a task of another kind says nothing of it."""
    return int(columns.any(axis=(0, 2)).sum())


def _sign_test(mean: float, tasks: int) -> float:
    return min(1.0, 2.0 ** (1 - tasks)) if mean else 1.0


def _all_alike(value: float, tasks: int, limits: Limits) -> Limits:
    """Where all tasks came to the same, resampling shows no spread. As many other tasks as Wilson's interval of none
    in `tasks` allows may still be anywhere within the limits."""
    unseen = wilson(0, tasks)[1]
    if math.isinf(limits[1]) and tasks > 1:
        return value, value
    return value - unseen * (value - limits[0]), value + unseen * (limits[1] - value)


def _standard_error(columns: Any, figure: Figure, rng: np.random.Generator) -> tuple[float, float]:
    """Over seeds and tasks, with Satterthwaite's degrees of freedom."""
    seeds, tasks = columns.shape[:2]
    of_tasks = _variance(columns.sum(axis=0), figure, tasks, rng)
    if seeds == 1:
        return math.sqrt(of_tasks), max(1, tasks - 1)
    of_seeds = _variance(columns.sum(axis=1), figure, seeds - 1, rng)
    parts = of_seeds**2 / (seeds - 1) + of_tasks**2 / max(1, tasks - 1)
    return math.sqrt(of_seeds + of_tasks), (of_seeds + of_tasks) ** 2 / parts if parts else seeds - 1


def _variance(rows: Any, figure: Figure, drawn: int, rng: np.random.Generator) -> float:
    """Of the figure when so many of the rows (n, k) are drawn with replacement; draws that leave it undefined, such as
    those without one mention, are left out."""
    counts = rng.multinomial(drawn, [1 / len(rows)] * len(rows), DRAWS)
    values = figure(counts @ rows)
    values = values[np.isfinite(values)]
    return float(np.var(values)) if values.size else 0.0
