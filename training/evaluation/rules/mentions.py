"""A description's mentions beside what is there, as CHAIR counts them (Rohrbach et al. 2018), with F1 and repeats.

CHAIR alone rewards saying less: read it beside recall, F1 and how much is said.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from anyprefer.core.results import Metric, Ratio, ratio


def counted(named: Sequence[str], there: Collection[str]) -> dict[str, float]:
    """Tallies of one description: the labels it names, as often as it does, beside those that are there."""
    wrong = [label for label in named if label not in there]
    return {
        "mentions": len(named),
        "wrong": len(wrong),
        "right": len({*named} - {*wrong}),
        "gold": len({*there}),
        "repeats": len(named) - len({*named}),
        "captions": 1,
        "captions_with_wrong": int(bool(wrong)),
    }


METRICS = {
    "CHAIR-i": ratio("wrong", "mentions", better="lower"),
    "CHAIR-s": ratio("captions_with_wrong", "captions", better="lower"),
    "recall": ratio("right", "gold"),
    # 2PR / (P + R) with P = right / mentions, in which a repeated mention is a wrong one
    "F1": Metric(parts=(Ratio(above={"right": 2}, below={"mentions": 1, "gold": 1}),)),
    "mentions": ratio("mentions", "captions", better="neither", highest=None),
    "repeats": ratio("repeats", "mentions", better="lower"),
}
"""CHAIR-i is a share of mentions, not of different labels; recall and F1 are over all images together."""


def all_right(tally: dict[str, float]) -> bool:
    """Whether a description names everything that is there once and nothing else."""
    return tally["right"] == tally["gold"] == tally["mentions"]
