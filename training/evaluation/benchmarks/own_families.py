"""The embedded families' held-out tasks as benchmarks: greedy answers, marked by the family's own rule."""

from __future__ import annotations

from anyprefer.core.background_loop import run_blocking
from anyprefer.models.traits import unload
from anyprefer.training.evaluation.asking import within_limits
from anyprefer.training.evaluation.benchmarks.base import Asked, Benchmark, BenchmarkResult
from anyprefer.training.evaluation.controls import with_images
from anyprefer.training.evaluation.evaluate import evaluate
from anyprefer.training.evaluation.family import Family


class FamilyBenchmark(Benchmark):
    """A family of `training/evaluation/families.py`; `limit` tasks are drawn with the seed."""

    metric = "accuracy"

    def __init__(self, family: Family) -> None:
        self.family = family
        self.name = family.name
        self.description = f"held-out {family.name}: {family.description}"

    def measure(self, asked: Asked) -> BenchmarkResult:
        """Asks every task once, greedily."""
        tasks = with_images(self.family.make(asked.limit or self.family.tasks, asked.seed, "heldout"), asked.images)
        answers = asked.folder / f"{self.name}.jsonl" if asked.folder else None
        model = within_limits(asked.model, asked.settings)
        try:
            found = run_blocking(
                evaluate(
                    model,
                    tasks,
                    self.family.is_correct,
                    max_tokens=self.family.max_tokens,
                    seed=asked.seed,
                    answers=answers,
                    calls=asked.calls,
                    tally=self.family.tally,
                    metrics=self.family.metrics,
                )
            )
        finally:
            unload(model)
        return self.of(asked, found)
