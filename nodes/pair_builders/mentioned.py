"""What tools that see found in a candidate's words: the labels that it names, and those that are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from anyprefer.core.game_state import GameState
from anyprefer.core.mentions import Mention, Vocabulary
from anyprefer.core.regions import regions_in


def named_and_seen(state: GameState, candidate: int) -> tuple[list[str], list[str]] | None:
    """The labels that a candidate names and those that the first tool with a side on it saw in the picture; None where no
    tool compared the two."""
    for one in state["candidate_knowledge"]:
        found = regions_in(one.data) if one.candidate == candidate and one.verdict is not None else None
        if found is not None and isinstance(names := one.data.get("named"), list):
            return [str(name) for name in names], [region.label for region in found[0]]
    return None


def unfounded(text: str, named: Sequence[str], seen: Sequence[str]) -> tuple[list[Mention], list[Mention]]:
    """The mentions of a text that are right, and those that are not: of what was not seen, or oftener than it was."""
    right, wrong, left = list[Mention](), list[Mention](), Counter(seen)
    for mention in Vocabulary([*named, *seen]).mentions(text):
        if not mention.denied:
            (right if left[mention.label] > 0 else wrong).append(mention)
            left[mention.label] -= 1
    return right, wrong
