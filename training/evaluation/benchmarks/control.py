"""The family `control` of control_families.py."""

from __future__ import annotations

from anyprefer.training.evaluation.benchmarks.acting import ActingBenchmark
from anyprefer.training.evaluation.control_families import CONTROL

offers = ActingBenchmark(CONTROL["control"])
