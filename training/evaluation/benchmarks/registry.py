"""All benchmarks by name, and `measure`."""

from __future__ import annotations

import inspect
import time
from pathlib import Path

from anyprefer.core.errors import InputError
from anyprefer.core.registry import Registry
from anyprefer.core.roles import Target
from anyprefer.core.settings import RunSettings
from anyprefer.models.calls import Calls
from anyprefer.training.evaluation.benchmarks.base import BATCH, Asked, Benchmark, BenchmarkResult
from anyprefer.training.evaluation.controls import Shown

BENCHMARKS = Registry("benchmark", "anyprefer.training.evaluation.benchmarks", InputError)


def benchmark(name: str) -> Benchmark:
    """The benchmark of that name. Raises `InputError` that names the near one."""
    found = BENCHMARKS.get(name)
    made = found() if inspect.isclass(found) else found
    if not isinstance(made, Benchmark):
        raise InputError(f"benchmark {name!r} is no Benchmark of anyprefer.training.evaluation.benchmarks")
    return made


def measure(
    name: str,
    model: str,
    limit: int | None = None,
    seed: int = 0,
    folder: Path | None = None,
    judge: str = "",
    batch_size: int = BATCH,
    max_tokens: int | None = None,
    settings: RunSettings | None = None,
    calls: Calls | None = None,
    images: Shown = "shown",
    target: Target | None = None,
) -> BenchmarkResult:
    """Measures a model string on the first `limit` tasks; `folder` keeps every answer as NAME.jsonl.

    `judge` is the judge's model string where the benchmark has one; `batch_size` is for GSM8K and ARC, `max_tokens`
    for GSM8K, `images` for those that show some, `target` is the loaded target of those that act.
    `settings` say how servers are asked, `calls` are the command's, with its budget. Raises `InputError` (unknown name,
    data that is missing) and `ModelError` (a model that cannot be loaded, reached, or measured so).
    """
    chosen = benchmark(name)
    began = time.monotonic()
    found = chosen.measure(
        Asked(
            model, limit, seed, folder, judge, batch_size, max_tokens, settings or RunSettings(), calls, images, target
        )
    )
    return found.model_copy(update={"seconds": round(time.monotonic() - began, 1)})
