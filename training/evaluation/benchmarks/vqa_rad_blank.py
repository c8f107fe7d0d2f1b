"""The family `vqa_rad_blank` of medical_families.py."""

from __future__ import annotations

from anyprefer.training.evaluation.benchmarks.own_families import FamilyBenchmark
from anyprefer.training.evaluation.families import FAMILIES

offers = FamilyBenchmark(FAMILIES["vqa_rad_blank"])
