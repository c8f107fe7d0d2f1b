"""ARC-easy (Clark et al. 2018)."""

from __future__ import annotations

from anyprefer.training.evaluation.benchmarks.harness import Harness

offers = Harness(
    "arc_easy",
    "ARC-easy test questions (Clark et al. 2018), 0-shot, right when the gold answer is the likeliest text",
    metric="acc",
    chat=False,
    max_tokens=1,
)
