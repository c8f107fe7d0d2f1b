"""What an evaluation comes to: how many of its tasks were right, what else was counted in the answers, and how certain
that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

_Z95 = 1.959964
"""97.5th percentile of the standard normal distribution."""

Tallies = Mapping[str, Mapping[str, float]]
"""What was counted in the answer to each task, by task id and name: `{"scene-1": {"mentions": 4, "wrong": 1}}`."""


class Ratio(BaseModel):
    """Σ above / Σ below over tasks, each a sum of tallies with weights."""

    model_config = ConfigDict(frozen=True)

    above: dict[str, float]
    below: dict[str, float]


class Metric(BaseModel):
    """A figure computed from the tallies of all tasks together: a ratio of sums, or several put together."""

    model_config = ConfigDict(frozen=True)

    parts: tuple[Ratio, ...]
    better: Literal["higher", "lower", "neither"] = "higher"
    highest: float | None = 1.0
    """The greatest value; None where there is none. The least is 0."""
    form: Literal["sum", "bleu"] = "sum"
    """The parts added up; or BLEU (Papineni et al. 2002): the geometric mean of all but the last, which is the answers'
    length / the references', times exp(1 - references' / answers') where the answers are shorter."""

    def terms(self, tally: Mapping[str, float]) -> list[float]:
        """What a task's tally, or the sum of several, puts above and below in each part."""
        return [_weighted(weights, tally) for part in self.parts for weights in (part.above, part.below)]

    def combined(self, terms: Any) -> Any:
        """Values (...) of summed terms, a NumPy array (..., 2 * parts); NaN where a sum below is 0."""
        import numpy as np

        with np.errstate(divide="ignore", invalid="ignore"):
            parts = np.where(terms[..., 1::2] != 0, terms[..., ::2] / terms[..., 1::2], np.nan)
            if self.form == "sum":
                return parts.sum(axis=-1)
            brevity = np.exp(np.minimum(0.0, 1 - 1 / parts[..., -1]))
            return brevity * np.exp(np.log(parts[..., :-1]).mean(axis=-1))

    def value(self, sums: Mapping[str, float]) -> float:
        """Of the tallies summed over tasks; NaN where a sum below is 0."""
        import numpy as np

        return float(self.combined(np.array(self.terms(sums), dtype=float)))


def ratio(above: str, below: str, **settings: Any) -> Metric:
    """The metric Σ above / Σ below of two tallies."""
    return Metric(parts=(Ratio(above={above: 1}, below={below: 1}),), **settings)


class EvalResult(BaseModel):
    """How many tasks were right, and what is needed to ask again. Every task is in `n` or in `unscored`."""

    model_config = ConfigDict(frozen=True)

    metric: str = "accuracy"
    """What `correct` of `n` measures."""
    model: str
    """The target's own name; an adapter's base."""
    adapter: str = ""
    """The adapter's folder, where one answered."""
    n: int = Field(ge=0)
    """Marked tasks."""
    correct: int = Field(ge=0)
    unscored: int = Field(default=0, ge=0)
    """Tasks without an answer, because the target or the marking failed; in neither `n` nor `correct`."""
    first_error: str = ""
    """What the first unscored task ended with."""
    marks: dict[str, bool] = Field(default_factory=dict)
    """Whether each marked task was right, by its id; the gate between iterations compares them."""
    tallies: dict[str, dict[str, float]] = Field(default_factory=dict)
    """What was counted in each task's answer, by task id; `in_form` (0 or 1) is looked at by the gate."""
    metrics: dict[str, Metric] = Field(default_factory=dict)
    """Figures that the tallies come to, by name."""
    groups: dict[str, str] = Field(default_factory=dict)
    """Which tasks stand or fall together, such as an image's questions: the group's name by task id; a task that is not
    named is a group of its own."""
    seed: int = 0
    temperature: float | None = Field(default=None, ge=0)
    """Of sampling; None for a target that has none."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Longest answer; None for a target that writes none."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Libraries that answered and marked."""

    @classmethod
    def of(cls, model: str, marks: Mapping[str, bool], seed: int = 0) -> EvalResult:
        """The result of tasks marked by id, such as a policy's rollouts from held-out starts."""
        return cls(model=model, n=len(marks), correct=sum(marks.values()), marks=dict(marks), seed=seed)

    @property
    def accuracy(self) -> float:
        """correct / n, 0..1; NaN when nothing was marked."""
        return self.correct / self.n if self.n else float("nan")

    def value(self, metric: str) -> float:
        """One of `metrics`, over all tasks; NaN where it is undefined, such as a share of no mentions."""
        return self.metrics[metric].value(summed(self.tallies.values()))

    @computed_field  # type: ignore[prop-decorator]
    @property
    def interval(self) -> tuple[float, float]:
        """95% Wilson interval of the accuracy."""
        return wilson(self.correct, self.n)


def summed(tallies: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Each name's sum."""
    total: dict[str, float] = {}
    for tally in tallies:
        for name, count in tally.items():
            total[name] = total.get(name, 0) + count
    return total


def _weighted(weights: Mapping[str, float], sums: Mapping[str, float]) -> float:
    return sum(weight * sums.get(name, 0) for name, weight in weights.items())


def wilson(correct: float, n: int) -> tuple[float, float]:
    """95% score interval of a proportion (Wilson 1927), within 0..1; (0, 1) when n is 0."""
    if n == 0:
        return 0.0, 1.0
    share, spread = correct / n, _Z95**2 / n
    centre = (share + spread / 2) / (1 + spread)
    half = _Z95 / (1 + spread) * (share * (1 - share) / n + spread / (4 * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)
