"""Minimal corrections: an answer against itself without what is wrong in it (RLHF-V, Yu et al. 2024, arXiv 2312.00849)."""

from __future__ import annotations

from anyprefer.core.game_state import GameState
from anyprefer.core.records import PreferencePair
from anyprefer.nodes.pair_builders.mentioned import named_and_seen, unfounded
from anyprefer.nodes.pair_builders.removal import without


def corrected(state: GameState) -> PreferencePair | str:
    """y- is the best-scoring answer that names something wrong beside something right, y+ the same text without it.

    In RLHF-V people correct the segments; here they are removed by what a tool saw (`Finding.data` with `regions` and
    `named`), and nothing that was missed is added.
    """
    for judgment in sorted(state["judgments"], key=lambda judgment: (-judgment.score, judgment.candidate)):
        candidate, compared = state["candidates"][judgment.candidate], named_and_seen(state, judgment.candidate)
        if compared is None or not candidate.complete:
            continue
        right, wrong = unfounded(candidate.text, *compared)
        text = without(candidate.text, [(mention.start, mention.end) for mention in wrong])
        if right and wrong and text:
            low = {"rejected_index": judgment.candidate, "rejected_score": judgment.score}
            return PreferencePair(chosen=text, rejected=candidate.content, **low)
    return (
        "No whole answer names something that a tool saw beside something that it did not see, so there is nothing to "
        "correct; corrections need a tool that compares an answer with the picture, such as scene_detector."
    )


offers = corrected
