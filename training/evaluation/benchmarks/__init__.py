"""What is measured beside a file of tasks: `measure("arc_easy", "smollm2")` gives an `EvalResult`.

A benchmark is a `Benchmark` of base.py, one file each, named `anyprefer evaluate NAME` and, in an application,
`benchmarks = ["NAME"]`. Packages offer theirs, or a class of them, in the group `anyprefer.benchmarks`.
"""

from anyprefer.training.evaluation.benchmarks.base import Asked, Benchmark, BenchmarkResult
from anyprefer.training.evaluation.benchmarks.registry import BENCHMARKS, benchmark, measure

__all__ = ["BENCHMARKS", "Asked", "Benchmark", "BenchmarkResult", "benchmark", "measure"]
