"""The paper's tables and figures for natural language, by the name `anyprefer reproduce` takes.

A study names the arms it needs and how many iterations of each; what one study has played another reuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from anyprefer.training.experiments.judge_and_pairs import figure4, figure5, figure7, table16
from anyprefer.training.experiments.outcomes import Parts, Results
from anyprefer.training.experiments.scores import perplexities, table4, table5, table6

ALL = 0
"""As many iterations as the scale has (§3.4: three)."""


@dataclass(frozen=True)
class Study:
    """One table or figure."""

    title: str
    make: Callable[[Results], Parts]
    arms: Mapping[str, int]
    """Arms it needs, with how many iterations; `ALL`: the scale's."""
    one_seed: Sequence[str] = ()
    """Arms that are played with the first seed only."""


STUDIES = {
    "table4": Study(
        "Baselines (Table 4)",
        table4,
        {"self-rewarding": 1, "self-rewarding-gold": 1, "meta-rewarding": 1, "anyprefer": 1},
        one_seed=("self-rewarding-gold", "meta-rewarding"),
    ),
    "table5": Study(
        "Tools and feedback (Tables 2 and 5)", table5, {"no-tools": 1, "tools": 1, "anyprefer": 1, "every-task": 1}
    ),
    "table6": Study("Iterations (Table 6, Figure 3)", table6, {"anyprefer": ALL}),
    "figure4": Study("The judge (Figure 4)", figure4, {"self-rewarding": 1, "anyprefer": 1}),
    "figure5": Study("Reward and accuracy (Figure 5)", figure5, {"anyprefer": ALL}),
    "table16": Study("Diversity (Table 16, Figure 6)", table16, {"anyprefer": 1}),
    "fluency": Study("Held-out perplexity", perplexities, {"self-rewarding": 1, "anyprefer": ALL}),
    "figure7": Study("Quality (Figure 7)", figure7, {"self-rewarding": 1, "anyprefer": 1}),
}
"""By the name that `anyprefer reproduce` takes."""

MADE_WITH = {"table2": "table5", "figure3": "table6", "figure6": "table16"}
"""Names of the paper that another study makes beside its own."""
