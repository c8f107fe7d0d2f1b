"""Edited answers: the gold one against itself with something in it that is not there (POVID, Zhou et al. 2024,
arXiv 2402.11411, §3.1)."""

from __future__ import annotations

import random

from anyprefer.core.game_state import GameState
from anyprefer.core.mentions import Vocabulary
from anyprefer.core.records import PreferencePair
from anyprefer.core.values import derive_seed
from anyprefer.nodes.pair_builders.mentioned import named_and_seen
from anyprefer.nodes.pair_builders.reference_chosen import gold_answer


def edited(state: GameState) -> PreferencePair | str:
    """y+ is the gold answer, y- the same with one thing exchanged for one that is not there.

    POVID asks GPT-4V for what plausibly co-occurs; here it is something that an answer of the target names in this round
    and the gold answer does not, as a tool's finding lists it (`Finding.data["named"]`): what the model itself expects.
    """
    gold = gold_answer(state["task"])
    if not isinstance(gold, str):
        return "The task has no reference text to be the chosen answer."
    compared = [named_and_seen(state, candidate.index) for candidate in state["candidates"]]
    named = sorted({label for one in compared if one for label in one[0]})
    told = [mention for mention in Vocabulary([*named, *_seen(compared)]).mentions(gold) if not mention.denied]
    absent = [label for label in named if label not in {mention.label for mention in told}]
    if not told or not absent:
        return "No answer names something that the gold answer does not, so there is nothing to write into it."
    rng = random.Random(derive_seed(state["task"].id, "edited", len(state["rounds"])))
    out, into = rng.choice(told), rng.choice(absent)
    return PreferencePair(chosen=gold, rejected=f"{gold[: out.start]}{into}{gold[out.end :]}")


def _seen(compared: list[tuple[list[str], list[str]] | None]) -> list[str]:
    return sorted({label for one in compared if one for label in one[1]})


offers = edited
