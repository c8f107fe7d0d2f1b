"""GSM8K (Cobbe et al. 2021)."""

from __future__ import annotations

from anyprefer.training.evaluation.benchmarks.harness import Harness

offers = Harness(
    "gsm8k",
    "GSM8K test problems (Cobbe et al. 2021), 0-shot, right when the answer's last number is the gold one",
    metric="exact_match",
    chat=True,
    max_tokens=400,
)
