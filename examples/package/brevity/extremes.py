"""A pair builder that reads what a tool found: `pair = "extremes"`."""

from anyprefer.core.game_state import GameState
from anyprefer.core.records import PreferencePair


def extremes(state: GameState) -> PreferencePair | str:
    """The shortest and the longest answer by the words that `word_limit` counted."""
    words = {one.candidate: one.data["words"] for one in state["candidate_knowledge"] if one.tool == "word_limit"}
    if len(set(words.values())) < 2:
        return "The answers are equally long; they should differ in length."
    texts = [one.content for one in state["candidates"]]
    short, long = min(words, key=words.__getitem__), max(words, key=words.__getitem__)
    return PreferencePair(chosen=texts[short], rejected=texts[long], chosen_index=short, rejected_index=long)
