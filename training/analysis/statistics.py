"""Numbers with their uncertainty: intervals over seeds, paired differences, correlations.

The interval of one proportion is `training.evaluate.wilson`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from anyprefer.graph.errors import InputError
from anyprefer.training.evaluate import wilson

RESAMPLES = 10_000
FEW = 10
"""Under so many points a correlation is called a hint, whatever its size."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95% interval."""

    mean: float
    low: float
    high: float
    n: int
    """How many values it is the mean of."""


@dataclass(frozen=True)
class Difference:
    """How much better b is than a on the same tasks."""

    mean: float
    """Accuracy of b minus accuracy of a, -1..1; > 0: b is better."""
    low: float
    high: float
    """95% interval by the bootstrap over tasks."""
    p: float
    """Two-sided p of no difference: sign flips per task."""
    tasks: int
    seeds: int


@dataclass(frozen=True)
class McNemar:
    """The exact test of two markings of the same tasks."""

    only_a: int
    """Right in a, wrong in b."""
    only_b: int
    p: float
    """Two-sided; 1 when the two never disagree."""


@dataclass(frozen=True)
class Correlation:
    """Pearson's and Spearman's coefficients of the same points; None where a side does not vary."""

    n: int
    pearson: float | None
    pearson_p: float | None
    spearman: float | None
    spearman_p: float | None
    """Two-sided p; Spearman's is exact (all orders) under 10 points."""

    @property
    def words(self) -> str:
        """What may be said of it."""
        if self.pearson is None or self.spearman is None:
            return f"n = {self.n}: undefined, because one of the two does not change"
        said = f"Pearson {self.pearson:+.2f} (p = {self.pearson_p:.2g}), Spearman {self.spearman:+.2f} (p = {self.spearman_p:.2g}), n = {self.n}"
        if self.n < FEW:
            said += f"; {self.n} points cannot establish a correlation: even a perfect order has p = {perfect_order_p(self.n):.2g}"
        return said


def mean_over_seeds(values: Sequence[float]) -> Estimate:
    """The mean of one value a seed with Student's t-interval; infinite with one seed, whose spread is unknown."""
    if not values:
        raise InputError("no values to average")
    mean, n = float(np.mean(values)), len(values)
    if n == 1:
        return Estimate(mean, -math.inf, math.inf, 1)
    half = float(stats.t.ppf(0.975, n - 1)) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


def mean_over_tasks(marks: Sequence[Sequence[bool]], seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Accuracy over the same tasks with its 95% interval; one vector of marks a seed, seeds pooled within a task.

    The interval is the percentile bootstrap's over tasks; Wilson's where all answers have the same mark.
    """
    per_task = _marks(marks).mean(axis=0)  # (tasks,)
    mean = float(per_task.mean())
    if mean in (0.0, 1.0):
        low, high = wilson(round(mean * per_task.size), per_task.size)
    else:
        low, high = _bootstrap(per_task, np.random.default_rng(seed), resamples)
    return Estimate(mean, low, high, per_task.size)


def exp_of_ratio(
    numerators: Sequence[float], denominators: Sequence[float], seed: int = 0, resamples: int = RESAMPLES
) -> Estimate:
    """exp(Σ numerators / Σ denominators), such as a perplexity from the nats and tokens of texts.

    The interval is the percentile bootstrap's over the pairs.
    """
    values = (np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float))

    def of(above: Any, below: Any, axis: int = -1) -> Any:
        return np.exp(above.sum(axis=axis) / below.sum(axis=axis))

    value, n = float(of(*values)), values[0].size
    if n < 2 or not values[0].any():
        return Estimate(value, value, value, n)
    rng = np.random.default_rng(seed)
    found = stats.bootstrap(values, of, paired=True, n_resamples=resamples, method="percentile", rng=rng)
    return Estimate(value, float(found.confidence_interval.low), float(found.confidence_interval.high), n)


def mcnemar(a: Sequence[bool], b: Sequence[bool]) -> McNemar:
    """McNemar's exact test of one seed's marks, task by task in the same order."""
    first, second = _marks([a]), _marks([b])
    _same(first, second)
    only_a, only_b = int((first > second).sum()), int((second > first).sum())
    p = float(stats.binomtest(only_b, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return McNemar(only_a, only_b, p)


def paired_difference(
    a: Sequence[Sequence[bool]], b: Sequence[Sequence[bool]], seed: int = 0, resamples: int = RESAMPLES
) -> Difference:
    """b minus a over the same tasks in the same order; one vector of marks a seed.

    Seeds are pooled within a task, and tasks are what is resampled: a task's answers under several seeds are
    not independent. The interval is the percentile bootstrap's, p the sign-flip test's (of the per-task
    differences; with one seed nearly McNemar's). Seeds that played different tasks are given as one long vector.
    """
    first, second = _marks(a), _marks(b)
    _same(first, second)
    per_task = (second - first).mean(axis=0)  # (tasks,)
    rng = np.random.default_rng(seed)
    low, high = _bootstrap(per_task, rng, resamples)
    flips = stats.permutation_test(
        (per_task,), np.mean, permutation_type="samples", n_resamples=resamples, rng=rng, axis=0, vectorized=True
    )
    return Difference(float(per_task.mean()), low, high, float(flips.pvalue), per_task.size, first.shape[0])


def correlate(x: Sequence[float], y: Sequence[float]) -> Correlation:
    """Correlation of two series of the same length. Raises `InputError` for fewer than three points: two
    always lie on a line."""
    if len(x) != len(y) or len(x) < 3:
        raise InputError(f"a correlation needs two series of the same length from 3 on, not {len(x)} and {len(y)}")
    if len(set(x)) == 1 or len(set(y)) == 1:
        return Correlation(len(x), None, None, None, None)
    straight, ordered = stats.pearsonr(x, y), stats.spearmanr(x, y)
    p = _exact_spearman(x, y) if len(x) < FEW else float(ordered.pvalue)
    return Correlation(len(x), float(straight.statistic), float(straight.pvalue), float(ordered.statistic), p)


def perfect_order_p(n: int) -> float:
    """The least p Spearman's test can give with so many points: two of the n! orders are perfect."""
    return 2 / math.factorial(n)


def _exact_spearman(x: Sequence[float], y: Sequence[float]) -> float:
    found = stats.permutation_test(
        (np.asarray(x),),
        lambda order: stats.spearmanr(order, y).statistic,
        permutation_type="pairings",
        n_resamples=math.inf,
    )
    return float(found.pvalue)


def _bootstrap(values: Any, rng: np.random.Generator, resamples: int) -> tuple[float, float]:
    if not values.any():
        return 0.0, 0.0
    found = stats.bootstrap((values,), np.mean, n_resamples=resamples, method="percentile", rng=rng)
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _marks(vectors: Sequence[Sequence[bool]]) -> Any:
    """(seeds, tasks) of 0 and 1."""
    if len({len(vector) for vector in vectors}) != 1 or not len(vectors[0]):
        raise InputError("marks must be one vector a seed, all of the same tasks and at least one")
    return np.asarray(vectors, dtype=float)


def _same(first: Any, second: Any) -> None:
    if first.shape != second.shape:
        raise InputError(f"marks of {first.shape} and {second.shape} (seeds, tasks) cannot be paired")
