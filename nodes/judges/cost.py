"""A judge that ranks trajectories by what they cost, without any model: score = -cost, so the cheapest is the best."""

from __future__ import annotations

import math
from collections.abc import Callable

from anyprefer.core.errors import ModelError, SettingsError
from anyprefer.core.game_state import GameState
from anyprefer.core.own_code import own_object
from anyprefer.core.records import Candidate, Judgment
from anyprefer.core.roles import Judge
from anyprefer.core.task import Task
from anyprefer.core.trajectories import Trajectory

Cost = Callable[[Task, Trajectory], float]
"""What a trajectory costs in a task: any finite number, lower is better."""


class CostJudge(Judge):
    """Named `cost:FILE.py:FUNCTION`, or made with the function. Every pair that its ranking gives is accepted, where no
    reward is named."""

    rated_by = "accept"

    def __init__(self, argument: str | Cost) -> None:
        """Raises `SettingsError` where the argument is and names no function."""
        cost = own_object(argument) if isinstance(argument, str) and argument else argument
        if not callable(cost):
            raise SettingsError("judge 'cost' needs a function of (task, trajectory): judge = 'cost:FILE.py:FUNCTION'")
        self.cost: Cost = cost
        self.name = f"cost ({argument if isinstance(argument, str) else getattr(cost, '__name__', 'a function')})"

    async def score(self, state: GameState) -> list[Judgment]:
        """-cost of every candidate. Raises `ModelError` for a cost that is no finite number."""
        return [self._judged(state["task"], candidate) for candidate in state["candidates"]]

    def _judged(self, task: Task, candidate: Candidate) -> Judgment:
        cost = float(self.cost(task, Trajectory.of(candidate.content)))
        if not math.isfinite(cost):
            raise ModelError(f"{self.name}: candidate {candidate.index} costs {cost}, which ranks nothing")
        return Judgment(candidate=candidate.index, score=-cost, analysis=f"cost {cost:.6g}")


offers = CostJudge
