"""Baselines and ablations as settings: what differs from the application as it is, and nothing else.

| kind | arms |
|---|---|
| baselines (Tables 4, 7 and 10, Appendix A) | self-rewarding, self-rewarding-gold, meta-rewarding, ai-feedback, best-of-n |
| baselines with images (Table 7) | povid-noised, povid-edited, rlhf-v |
| baselines of policies (Table 13) | filtered-imitation, where a scale says how its trainer forgets the rejected |
| bounds and controls | random-pairs, shorter-wins |
| tools and feedback (Tables 2 and 5) | no-tools, tools, anyprefer; every-task, where a scale's `accept` ends anyprefer early |
| who is optimised (Tables 9 and 12) | target-only, judge-only, independent, anyprefer |
| ranks of the pair (Table 9) | ranks-3-5, ranks-1-3, anyprefer (1 and 5) |
| candidates | candidates-3, anyprefer, candidates-10 |
| prompt scope | dataset-prompts, anyprefer |

Pairs that people made need no arm: `anyprefer train FILE` trains on them (Human-Prefer in Table 7).
In the baselines nobody rates pairs (`reward="accept"`): each task gives one, unless its scores are equal. An arm
that needs a judge that writes and rewrites prompts says so in its title.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from anyprefer.core.errors import SettingsError, near

_EVERY_PAIR: dict[str, Any] = {"feedback": (), "max_rounds": 1, "reward": "accept", "engine": ""}
_ONE_ROUND: dict[str, Any] = {**_EVERY_PAIR, "tools": (), "pair": "best_worst"}


@dataclass(frozen=True)
class Arm:
    """One way to play an application."""

    name: str
    title: str
    """As tables show it."""
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Values of `Settings` that differ from the application's."""
    paper: str = ""
    """The row of the paper's table that it answers to, as `training/analysis/paper_results.toml` names it."""


def _arms(*arms: Arm) -> dict[str, Arm]:
    return {one.name: one for one in arms}


ARMS = _arms(
    Arm("anyprefer", "Anyprefer (tools + feedback)", paper="Anyprefer"),
    Arm(
        "self-rewarding",
        "Self-rewarding: the target judges itself (Yuan et al. 2024)",
        {**_ONE_ROUND, "judge": "target"},
        "Self Rewarding",
    ),
    Arm(
        "self-rewarding-gold",
        "Self-rewarding*: the gold answer is chosen, the target's judgment picks the rejected one",
        {**_ONE_ROUND, "judge": "target", "pair": "reference_chosen"},
        "Self Rewarding*",
    ),
    Arm(
        "meta-rewarding",
        "Meta-rewarding: the target also judges its judgments (Wu et al. 2024)",
        {**_ONE_ROUND, "judge": "target", "judge_form": "meta", "judge_passes": 2},
        "Meta Rewarding",
    ),
    Arm(
        "ai-feedback",
        "AI feedback: a fixed judge, no tools, no feedback (VLFeedback's way, Li et al. 2024)",
        _ONE_ROUND,
        "VLFeedback",
    ),
    Arm(
        "filtered-imitation",
        "Filtered imitation: training on the chosen alone, by likelihood",
    ),
    Arm(
        "random-pairs",
        "Random pairs: what training on any two of the target's answers is worth, a lower bound",
        {**_ONE_ROUND, "judge": "chance"},
    ),
    Arm(
        "shorter-wins",
        "Shorter wins: the shortest answer over the longest, unread; what brevity alone is worth, a control",
        {**_ONE_ROUND, "judge": "shortest"},
    ),
    Arm(
        "povid-noised",
        "POVID's first half: the gold answer over one given to the image in noise (Zhou et al. 2024)",
        {**_ONE_ROUND, "judge": "chance", "pair": "reference_chosen", "image_noise": 0.25},
        "POVID",
    ),
    Arm(
        "povid-edited",
        "POVID's other half: the gold answer over itself with something written in that is not there",
        {**_EVERY_PAIR, "pair": "edited"},
        "POVID",
    ),
    Arm(
        "rlhf-v",
        "RLHF-V's way: an answer without what is wrong in it over itself, corrected by tools (Yu et al. 2024)",
        {**_EVERY_PAIR, "pair": "corrected"},
        "RLHF-V",
    ),
    Arm(
        "best-of-n",
        "Best of n: the reward model's best and worst",
        {**_ONE_ROUND, "tools": ("reward_model",), "judge": "evidence"},
    ),
    Arm(
        "no-tools",
        "No tools, no feedback",
        {"tools": (), "feedback": (), "max_rounds": 1, "engine": ""},
        "no tools, no feedback",
    ),
    Arm("tools", "Tools, no feedback", {"feedback": (), "max_rounds": 1, "engine": ""}, "tools"),
    Arm("every-task", "Tools + feedback, pairs of every task", {"accept": 0}),
    Arm("target-only", "Feedback to the target only", {"feedback": ("target",)}, "Optimize Target Model Only"),
    Arm("judge-only", "Feedback to the judge only", {"feedback": ("judge",)}, "Optimize Judge Model Only"),
    Arm(
        "independent",
        "Feedback to both, each on its own",
        {"feedback_mode": "independent"},
        "Independently Optimize Both Models",
    ),
    Arm("ranks-3-5", "Pairs of ranks 3 and 5", {"pair": "ranks(3,5)"}, "Anyprefer (rank3 + rank5)"),
    Arm("ranks-1-3", "Pairs of ranks 1 and 3", {"pair": "ranks(1,3)"}, "Anyprefer (rank3 + rank1)"),
    Arm("candidates-3", "C = 3", {"candidates": 3}),
    Arm("candidates-10", "C = 10", {"candidates": 10}),
    Arm("dataset-prompts", "Prompts shared by all tasks", {"prompt_scope": "dataset"}),
)


def arm(name: str) -> Arm:
    """The arm of that name. Raises `SettingsError` that names the near one."""
    if name not in ARMS:
        raise SettingsError(f"unknown arm {name!r}; {near(name, ARMS)}")
    return ARMS[name]
