"""Steps 3 and 4 of Algorithm 1: the judge scores every candidate with the knowledge (§2.2, Appendix D.1).

Listwise, analyses before scores. With several passes the candidates are shown in rotated orders and
the scores averaged, so that with C passes every candidate stood at every place once.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from anyprefer.core.errors import ModelError
from anyprefer.core.game_state import GameState
from anyprefer.core.roles import Judge


def judge(judge: Judge) -> Callable[[GameState], Awaitable[GameState]]:
    """The node. Refuses a judge that leaves out a candidate, scores one twice, or gives a score that is no finite
    number; without candidates none is asked."""

    async def run(state: GameState) -> GameState:
        judgments = await judge.score(state) if state["candidates"] else []
        scored, wanted = [j.candidate for j in judgments], [c.index for c in state["candidates"]]
        abstained = set(wanted) - set(scored) if getattr(judge, "abstains", False) else set[int]()
        if sorted([*scored, *abstained]) != wanted:
            raise ModelError(f"judge {judge.name} scored candidates {scored} instead of {wanted}")
        for judgment in judgments:
            if not (math.isfinite(judgment.score) and math.isfinite(judgment.spread)):
                raise ModelError(
                    f"judge {judge.name} gave candidate {judgment.candidate + 1} the score {judgment.score} (spread "
                    f"{judgment.spread}), which cannot be ranked; a score must be a finite number"
                )
        return {"judgments": sorted(judgments, key=lambda judgment: judgment.candidate)}

    return run
