"""The family `slake_blank` of medical_families.py."""

from __future__ import annotations

from anyprefer.training.evaluation.benchmarks.own_families import FamilyBenchmark
from anyprefer.training.evaluation.families import FAMILIES

offers = FamilyBenchmark(FAMILIES["slake_blank"])
