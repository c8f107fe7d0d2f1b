"""Numbers with their uncertainty, for gates, judges, tables and reports alike.

What is marked over the same tasks under several seeds has two sources of chance: other tasks, and other seeds (a model
trained again). Each is resampled by the bootstrap and the two variances are added, which is a little conservative; of S
seeds S - 1 are drawn, so that few seeds do not look too certain (Rao and Wu 1988). The interval is Student's with
Satterthwaite's degrees of freedom: nearly normal where tasks decide, t of S - 1 where seeds do. With one seed it is an
interval over tasks of this one trained model, and says nothing of another.

Figures that are ratios of sums over tasks (CHAIR, F1 of mentions, MME's scores) are resampled in the same way, whole
tasks and seeds at a time: `metric_over_tasks` and `metric_difference`.

The bootstrap itself is `resampling.py`, the interval of one proportion `core.results.wilson`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from anyprefer.core.errors import InputError
from anyprefer.core.results import Metric, Tallies, ratio, wilson
from anyprefer.training.evaluation.resampling import NONE, Limits, interval, taking_part

SEEDS = 5
"""Under so many seeds no difference is called one, whatever its interval: too few to know how seeds spread."""
FEW = 10
"""Under so many points a correlation is called a hint, whatever its size."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95% interval."""

    mean: float
    low: float
    high: float
    n: int
    """How many values, or tasks, it is the mean of."""


@dataclass(frozen=True)
class Difference:
    """How much better b is than a on the same tasks."""

    mean: float
    """Of b minus of a; of accuracies -1..1, and > 0: b is better."""
    low: float
    high: float
    """95% interval over seeds and tasks; with one seed over tasks alone."""
    p: float
    """Two-sided p of no difference, by the same standard error."""
    tasks: int
    by_seed: tuple[float, ...]
    """The difference under each seed."""

    @property
    def seeds(self) -> int:
        """How many there are."""
        return len(self.by_seed)

    @property
    def starred(self) -> bool:
        """Whether it may be called a difference: `SEEDS` seeds or more, and an interval that leaves out 0."""
        return self.seeds >= SEEDS and (self.low > 0 or self.high < 0)


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


def mean_over_tasks(marks: Sequence[Sequence[bool]], seed: int = 0) -> Estimate:
    """Accuracy over the same tasks with its 95% interval over seeds and tasks; one vector of marks a seed.

    Where all seeds have the same marks, as with one seed, the interval is Wilson's.
    """
    right = _marks(marks)  # (seeds, tasks)
    mean, tasks = float(right.mean()), right.shape[1]
    if (right == right[0]).all():
        return Estimate(mean, *wilson(int(right[0].sum()), tasks), tasks)
    low, high, _ = _interval(right, np.ones_like(right), seed, (0.0, 1.0))
    return Estimate(mean, low, high, tasks)


def share(won: Sequence[float], of: Sequence[float], seeds: Sequence[object] = (), seed: int = 0) -> Estimate:
    """Σ won / Σ of over tasks, 0..1, such as pairs in the right order; a task's pairs stand or fall together.

    `seeds` names the seed each task was played under, where there are several; they then play different tasks.
    Raises `InputError` without any.
    """
    if not sum(of):
        raise InputError("no pairs to take a share of")
    told = [one for one in zip(seeds or [0] * len(of), won, of, strict=True) if one[2]]
    rows = {name: row for row, name in enumerate(dict.fromkeys(name for name, _, _ in told))}
    above, below = np.zeros((2, len(rows), len(told)))  # (seeds, tasks) each
    for task, (name, right, pairs) in enumerate(told):
        above[rows[name], task], below[rows[name], task] = right, pairs
    low, high, _ = _interval(above, below, seed, (0.0, 1.0))
    return Estimate(float(above.sum() / below.sum()), low, high, len(told))


def exp_of_ratio(numerators: Sequence[Sequence[float]], denominators: Sequence[float], seed: int = 0) -> Estimate:
    """exp(Σ numerators / Σ denominators), such as a perplexity from the nats and tokens of texts.

    One vector of numerators a seed. The interval is over seeds and texts, on the scale of the exponent.
    """
    above = np.asarray(numerators, dtype=float)  # (seeds, texts)
    below = np.broadcast_to(np.asarray(denominators, dtype=float), above.shape)
    value, n = float(np.exp(above.sum() / below.sum())), above.shape[1]
    if not above.any():  # held against itself
        return Estimate(value, value, value, n)
    low, high, _ = _interval(above, below, seed)
    return Estimate(value, math.exp(low), math.exp(high), n)


def at_least(lost: int, changed: int) -> float:
    """One-sided p of so many losses or more among the tasks that changed, if each were as likely a gain (McNemar 1947,
    exact)."""
    return float(stats.binomtest(lost, changed, alternative="greater").pvalue) if changed else 1.0


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """The p values of several tests adjusted so that any of them may be read at its level (Holm 1979)."""
    adjusted, most = dict[str, float](), 0.0
    for rank, name in enumerate(sorted(p, key=lambda name: p[name])):
        most = max(most, min(1.0, (len(p) - rank) * p[name]))
        adjusted[name] = most
    return adjusted


def paired_difference(a: Sequence[Sequence[bool]], b: Sequence[Sequence[bool]], seed: int = 0) -> Difference:
    """b minus a over the same tasks in the same order; one vector of marks a seed.

    Interval and p are over seeds and tasks (see the module). Seeds that played different tasks are no seeds of the
    same tasks: compare their shares.
    """
    first, second = _marks(a), _marks(b)
    _same(first, second)
    gained = second - first  # (seeds, tasks)
    low, high, p = _interval(gained, np.ones_like(gained), seed, (-1.0, 1.0))
    return Difference(float(gained.mean()), low, high, p, gained.shape[1], tuple(map(float, gained.mean(axis=1))))


def metric_over_tasks(
    tallies: Sequence[Tallies], metric: Metric, groups: Mapping[str, str] | None = None, seed: int = 0
) -> Estimate:
    """A metric of the tasks that all seeds share, with its 95% interval over seeds and tasks; tallies of one seed each.

    Tasks of one of the `groups` are drawn together. NaN where the metric is undefined. Raises `InputError` without tasks.
    """
    columns = _columns([tallies], metric, groups or {})[0]
    low, high, _ = interval(columns, metric.combined, seed, _limits(metric))
    return Estimate(_value(columns, metric), low, high, taking_part(columns))


def metric_difference(
    a: Sequence[Tallies], b: Sequence[Tallies], metric: Metric, groups: Mapping[str, str] | None = None, seed: int = 0
) -> Difference:
    """A metric of b minus that of a over the tasks that all share; the n-th of `a` and of `b` are of the same seed.

    Interval and p are over seeds and tasks, paired by both. Raises `InputError` without tasks, or for other numbers of
    seeds.
    """
    if len(a) != len(b):
        raise InputError(f"tallies of {len(a)} and {len(b)} seeds cannot be paired")
    first, second = _columns([a, b], metric, groups or {})
    both, half = np.concatenate([first, second], axis=-1), first.shape[-1]
    most = _limits(metric)[1]
    low, high, p = interval(
        both, lambda sums: metric.combined(sums[..., half:]) - metric.combined(sums[..., :half]), seed, (-most, most)
    )
    by_seed = tuple(_value(new, metric) - _value(old, metric) for old, new in zip(first, second, strict=True))
    return Difference(_value(second, metric) - _value(first, metric), low, high, p, taking_part(both), by_seed)


def correlate(x: Sequence[float], y: Sequence[float]) -> Correlation:
    """Correlation of two series of the same length. Raises `InputError` for NaN, infinity and fewer than three
    points: two always lie on a line."""
    if len(x) != len(y) or len(x) < 3:
        raise InputError(f"a correlation needs two series of the same length from 3 on, not {len(x)} and {len(y)}")
    if not all(map(math.isfinite, (*x, *y))):
        raise InputError("a correlation needs finite numbers")
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


def _interval(above: Any, below: Any, seed: int, limits: Limits = NONE) -> tuple[float, float, float]:
    """95% interval of Σ above / Σ below of (seeds, tasks), and the two-sided p that it is 0."""
    return interval(np.stack([above, below], axis=-1), ratio("above", "below").combined, seed, limits)


def _limits(metric: Metric) -> Limits:
    return 0.0, math.inf if metric.highest is None else metric.highest


def _columns(arms: Sequence[Sequence[Tallies]], metric: Metric, groups: Mapping[str, str]) -> list[Any]:
    """(seeds, groups, 2 * parts) an arm: what stands above and below in each part of the metric."""
    tasks = sorted(set.intersection(*(set(tallies) for arm in arms for tallies in arm)))
    if not tasks:
        raise InputError("no task was counted under every seed")
    rows = {name: row for row, name in enumerate(dict.fromkeys(groups.get(task, task) for task in tasks))}
    found = [np.zeros((len(arm), len(rows), 2 * len(metric.parts))) for arm in arms]
    for columns, arm in zip(found, arms, strict=True):
        for counts, tallies in zip(columns, arm, strict=True):
            for task in tasks:
                counts[rows[groups.get(task, task)]] += metric.terms(tallies[task])
    return found


def _value(columns: Any, metric: Metric) -> float:
    """Over all seeds and tasks."""
    return float(metric.combined(columns.reshape(-1, columns.shape[-1]).sum(axis=0)))


def _marks(vectors: Sequence[Sequence[bool]]) -> Any:
    """(seeds, tasks) of 0 and 1."""
    if len({len(vector) for vector in vectors}) != 1 or not len(vectors[0]):
        raise InputError("marks must be one vector a seed, all of the same tasks and at least one")
    return np.asarray(vectors, dtype=float)


def _same(first: Any, second: Any) -> None:
    if first.shape != second.shape:
        raise InputError(f"marks of {first.shape} and {second.shape} (seeds, tasks) cannot be paired")
