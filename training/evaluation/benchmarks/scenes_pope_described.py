"""The family `scenes_pope_described` of scene_families.py."""

from __future__ import annotations

from anyprefer.training.evaluation.benchmarks.own_families import FamilyBenchmark
from anyprefer.training.evaluation.families import FAMILIES

offers = FamilyBenchmark(FAMILIES["scenes_pope_described"])
