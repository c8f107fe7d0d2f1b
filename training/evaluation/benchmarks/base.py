"""What a benchmark is: a named thing that measures a model string."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from anyprefer.core.errors import InputError
from anyprefer.core.results import EvalResult
from anyprefer.core.roles import Target
from anyprefer.core.settings import RunSettings
from anyprefer.models.calls import Calls
from anyprefer.training.evaluation.controls import Shown


class BenchmarkResult(EvalResult):
    """An `EvalResult` that says which benchmark it is of, with the other figures the benchmark reports."""

    benchmark: str
    figures: dict[str, float] = Field(default_factory=dict)
    """Further figures of the same answers by name, 0..1, higher is better, but for names ending in `_stderr`."""
    judge: str = ""
    """Model string of the judge; empty where none is asked."""
    seconds: float = Field(default=0.0, ge=0)


BATCH = 16
"""Sequences that a local model reads at once, where nothing else is said."""


@dataclass(frozen=True)
class Asked:
    """What is to be measured and how."""

    model: str
    """`smollm2`, `hf:ID-or-folder` (an adapter's too), `openai:NAME` or `openai:NAME@URL`."""
    limit: int | None = None
    """How many of the first tasks; None: the benchmark's own number."""
    seed: int = 0
    folder: Path | None = None
    """Where answers are kept; None: nowhere."""
    judge: str = ""
    """The judge of benchmarks that need one; empty: the benchmark's own default."""
    batch_size: int = BATCH
    """Sequences that a local model reads at once (GSM8K, ARC), or requests in flight at a server."""
    max_tokens: int | None = None
    """Longest answer of a benchmark that lets it be chosen (GSM8K); None: the benchmark's own."""
    settings: RunSettings = field(default_factory=RunSettings)
    """How servers are asked."""
    calls: Calls | None = None
    """Those of the command, with its budget; None: without one."""
    images: Shown = "shown"
    """How images are shown; `none` and `blank` are text-only controls of benchmarks that show some."""
    target: Target | None = None
    """The target itself, opened, where a benchmark that `acts` need not load it."""


class Benchmark(ABC):
    """One benchmark. Direction: a higher accuracy is better."""

    name: str
    description: str
    """What is asked, how it is marked, and the source."""
    metric: str
    """What `accuracy` is: `exact_match`, `acc`, `win_rate`."""
    acts: bool = False
    """Whether it measures any target by what it does, and not a chat model by its answers."""

    @property
    def budgeted(self) -> bool:
        """Whether all it asks of servers goes through the command's calls, so that a budget holds."""
        return True

    def check(self) -> None:  # noqa: B027 -- most need nothing
        """Raises `InputError` for what is missing here (a package, data), so that a loop ends before it has asked
        anything."""

    @abstractmethod
    def measure(self, asked: Asked) -> BenchmarkResult:
        """The model's result. Raises `InputError` for missing data and `ModelError` for a model that cannot do it."""

    def command(self, asked: Asked) -> str:
        """lm-eval's own command for the same figure. Raises `InputError` where lm-eval does not measure it."""
        raise InputError(f"{self.name} is not measured by lm-eval, so it has no lm_eval command")

    def of(self, asked: Asked, found: EvalResult) -> BenchmarkResult:
        """An evaluation's result as this benchmark's."""
        kept = ("n", "correct", "marks", "unscored", "first_error", "max_tokens", "tallies", "metrics", "groups")
        return self.result(asked, **{name: getattr(found, name) for name in kept})

    def result(self, asked: Asked, **values: Any) -> BenchmarkResult:
        """A `BenchmarkResult` with what is known already filled in."""
        made = BenchmarkResult(benchmark=self.name, model=asked.model, seed=asked.seed, temperature=0.0, **values)
        return made.model_copy(update={"metric": self.metric}) if "metric" in type(made).model_fields else made
