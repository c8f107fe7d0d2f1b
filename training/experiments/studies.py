"""The paper's tables and figures, by the name `anyprefer reproduce` takes, each of one application.

A study names the arms it needs and how many iterations of each; what one study has played another reuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from anyprefer.core.errors import SettingsError, near
from anyprefer.training.experiments.image_tables import (
    ABLATIONS,
    BASELINES,
    table7,
    table8,
    table9,
    table10,
    table11,
    table12,
    table13,
    table14,
    table15,
)
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
    application: str = "natural-language"
    """The packaged application that it is of."""


def _beside(application: str) -> dict[str, int]:
    """One iteration of Anyprefer and of each baseline."""
    return dict.fromkeys(("anyprefer", *BASELINES[application]), 1)


_ABLATED = dict.fromkeys(("anyprefer", *ABLATIONS), 1)
_CONTROL = dict.fromkeys(("anyprefer", *BASELINES["control"]), ALL)
_CONTROL_ABLATED = dict.fromkeys(_ABLATED, ALL)
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
    "table7": Study("Vision: baselines (Table 7)", table7, _beside("vision"), application="vision"),
    "table8": Study(
        "Vision: iterations (Table 8)", table8, {"anyprefer": ALL, "self-rewarding": ALL}, application="vision"
    ),
    "table9": Study("Vision: ablations (Table 9)", table9, _ABLATED, application="vision"),
    "table10": Study("Medicine: baselines (Table 10)", table10, _beside("medical"), application="medical"),
    "table11": Study("Medicine: iterations (Table 11)", table11, {"anyprefer": ALL}, application="medical"),
    "table12": Study("Medicine: ablations (Table 12)", table12, _ABLATED, application="medical"),
    "table13": Study("Control: baselines (Table 13)", table13, _CONTROL, application="control"),
    "table14": Study("Control: iterations (Table 14)", table14, {"anyprefer": ALL}, application="control"),
    "table15": Study("Control: ablations (Table 15)", table15, _CONTROL_ABLATED, application="control"),
}
"""By the name that `anyprefer reproduce` takes."""

MADE_WITH = {"table2": "table5", "figure3": "table6", "figure6": "table16"}
"""Names of the paper that another study makes beside its own."""


def study(name: str) -> Study:
    """The study of a name, or the one that makes it beside its own. Raises `SettingsError` that names the near one."""
    known = MADE_WITH.get(name, name)
    if known not in STUDIES:
        raise SettingsError(f"unknown table or figure {name!r}; {near(name, [*STUDIES, *MADE_WITH])}")
    return STUDIES[known]


def application_of(names: Sequence[str]) -> str:
    """The packaged application that these tables and figures are of. Raises `SettingsError` where they are of several."""
    of = {name: study(name).application for name in names}
    if len(set(of.values())) > 1:
        told = ", ".join(f"{name}: {application}" for name, application in of.items())
        raise SettingsError(f"these are of several applications ({told}); ask for those of one at a time")
    return next(iter(of.values()))
