"""LLaVA-Bench in the wild (Liu et al. 2023)."""

from __future__ import annotations

from anyprefer.training.evaluation.benchmarks.judged_elsewhere import JudgedElsewhere

offers = JudgedElsewhere(
    "llava_bench",
    "LLaVA-Bench (in the wild): 60 open questions on 24 images (Liu et al. 2023), a judge's score relative to GPT-4's "
    "answer; through lmms-eval, which must be installed",
    task="llava_in_the_wild",
    figure="gpt_eval_llava_all",
)
