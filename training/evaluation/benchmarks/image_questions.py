"""Benchmarks that ask about images and need no judge: each says where its rows are, how they are asked and marked."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from anyprefer.core.background_loop import run_blocking
from anyprefer.core.errors import InputError
from anyprefer.core.results import EvalResult, Metric
from anyprefer.core.task import Task
from anyprefer.models.traits import unload
from anyprefer.training.evaluation.asking import within_limits
from anyprefer.training.evaluation.benchmarks.base import Asked, Benchmark, BenchmarkResult
from anyprefer.training.evaluation.benchmarks.image_rows import Rows
from anyprefer.training.evaluation.controls import with_images
from anyprefer.training.evaluation.evaluate import evaluate


class ImageQuestions(Benchmark):
    """One such benchmark. `limit` rows are asked of each `part`; intervals of its metrics draw whole images."""

    metric = "accuracy"
    rows: Rows
    metrics: ClassVar[Mapping[str, Metric]] = {}
    max_tokens = 16

    @abstractmethod
    def tasks_of(self, name: str, row: Mapping[str, Any]) -> Iterable[Task]:
        """The tasks of a row, none where it is not asked; `name` is its file's or split's, ids are unique in a part."""

    @abstractmethod
    def is_correct(self, task: Task, answer: str) -> bool:
        """Whether an answer is right."""

    def tally(self, task: Task, answer: str) -> Mapping[str, float]:
        """What `metrics` are made of."""
        return {}

    def part(self, name: str, row: Mapping[str, Any]) -> str:
        """Which part of the benchmark a row is of, where it has several."""
        return ""

    def whole(self, tasks: Sequence[Task], found: EvalResult) -> EvalResult:
        """The result where several answers are marked together."""
        return found

    def check(self) -> None:
        """Rows must be in the data folder or on the hub."""
        self.rows.check()

    def measure(self, asked: Asked) -> BenchmarkResult:
        """Asks every task once, greedily."""
        tasks = list(self.tasks(asked.limit))
        model = within_limits(asked.model, asked.settings)
        kept = self.name if asked.images == "shown" else f"{self.name}-{asked.images}"
        try:
            found = run_blocking(
                evaluate(
                    model,
                    with_images(tasks, asked.images),
                    self.is_correct,
                    max_tokens=asked.max_tokens or self.max_tokens,
                    seed=asked.seed,
                    answers=asked.folder / f"{kept}.jsonl" if asked.folder else None,
                    calls=asked.calls,
                    tally=self.tally,
                    metrics=self.metrics,
                )
            )
        finally:
            unload(model)
        return self.of(asked, self.whole(tasks, found))

    def tasks(self, limit: int | None) -> Iterator[Task]:
        """The first `limit` rows' tasks of each part, all by default. Raises `InputError` naming what is missing."""
        seen = Counter[str]()
        parts = self._parts
        for name, row in self.rows.read():
            part = self.part(name, row)
            if limit is not None and seen[part] >= limit:
                if parts == 1:
                    return
                continue
            try:
                made = list(self.tasks_of(name, row))
            except (KeyError, TypeError, ValueError) as error:
                said = f"no column {error}" if isinstance(error, KeyError) else str(error)
                raise InputError(
                    f"{self.name}, row {seen.total() + 1} of {name}: {said}; it has: {', '.join(map(str, row))}"
                ) from error
            seen[part] += bool(made)
            yield from made
        if not seen.total():
            raise InputError(f"{self.name} found no question in {self.rows.folder}")

    @property
    def _parts(self) -> int:
        """1 where nothing after the first `limit` rows need be read."""
        return 1 if type(self).part is ImageQuestions.part else 2
