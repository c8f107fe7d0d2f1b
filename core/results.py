"""What an evaluation comes to: how many of its tasks were right, and how certain that is."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, computed_field

_Z95 = 1.959964
"""97.5th percentile of the standard normal distribution."""


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

    @computed_field  # type: ignore[prop-decorator]
    @property
    def interval(self) -> tuple[float, float]:
        """95% Wilson interval of the accuracy."""
        return wilson(self.correct, self.n)


def wilson(correct: int, n: int) -> tuple[float, float]:
    """95% score interval of a proportion (Wilson 1927), within 0..1; (0, 1) when n is 0."""
    if n == 0:
        return 0.0, 1.0
    share, spread = correct / n, _Z95**2 / n
    centre = (share + spread / 2) / (1 + spread)
    half = _Z95 / (1 + spread) * (share * (1 - share) / n + spread / (4 * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)
