"""Benchmarks: `measure("arc_easy", "smollm2")` gives an `EvalResult`; `BENCHMARKS` has all of them by name."""

from anyprefer.training.evaluation.benchmarks.base import Asked, Benchmark, BenchmarkResult
from anyprefer.training.evaluation.benchmarks.registry import BENCHMARKS, benchmark, measure

__all__ = ["BENCHMARKS", "Asked", "Benchmark", "BenchmarkResult", "benchmark", "measure"]
