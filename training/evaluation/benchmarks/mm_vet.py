"""MM-Vet (Yu et al. 2024)."""

from __future__ import annotations

from anyprefer.training.evaluation.benchmarks.judged_elsewhere import JudgedElsewhere

offers = JudgedElsewhere(
    "mm_vet",
    "MM-Vet: 218 open questions that mix skills (Yu et al. 2024), marked by a judge; through lmms-eval, which must be "
    "installed",
    task="mmvet",
    figure="gpt_eval_score",
)
