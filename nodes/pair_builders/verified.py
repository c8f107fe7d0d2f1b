"""Best and worst; where one candidate alone could be judged, that one before another that could not.

For answers that are given and cannot be asked for again (`anyprefer rejudge`): what tools could verify is preferred to what
states nothing that they could read. The rejected answer has no score then and R goes by the chosen one's, so that an answer
that was found wrong is not chosen.
"""

from __future__ import annotations

from anyprefer.core.game_state import GameState
from anyprefer.core.records import PreferencePair
from anyprefer.nodes.pair_builders.best_worst import best_worst


def verified(state: GameState) -> PreferencePair | str:
    """The best and the worst of those judged, or the only one judged and the first that was not."""
    if len(state["judgments"]) != 1 or len(state["candidates"]) < 2:
        return best_worst(state)
    [judged] = state["judgments"]
    chosen = state["candidates"][judged.candidate]
    rejected = next(one for one in state["candidates"] if one.index != judged.candidate)
    return PreferencePair(
        chosen=chosen.content,
        rejected=rejected.content,
        chosen_index=chosen.index,
        rejected_index=rejected.index,
        chosen_score=judged.score,
        rejected_score=None,
    )


offers = verified
"""The pair builder that a setting names."""
