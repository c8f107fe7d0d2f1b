"""A policy's own log-probability of what it did, for a target that acts: the judge of self-rewarding without words.

Each trajectory is judged over as many steps as the shortest of the round has, so that ending early, which is how success
looks, is no advantage.
"""

from __future__ import annotations

import math

from anyprefer.core.errors import ModelError
from anyprefer.core.game_state import GameState
from anyprefer.core.records import Candidate, Judgment
from anyprefer.core.roles import Judge
from anyprefer.core.trajectories import Trajectory


class PolicyLikelihoodJudge(Judge):
    """Reads no tool's finding. Every pair is accepted, where no reward is named."""

    name = "policy likelihood"
    rated_by = "accept"

    async def score(self, state: GameState) -> list[Judgment]:
        """The mean ln p of a token, at most 0. Raises `ModelError` for a policy that tells no probabilities."""
        walks = {candidate.index: _told(candidate) for candidate in state["candidates"]}
        steps = min(len(walk.logprobs) for walk in walks.values())
        return [_judged(index, walk, steps) for index, walk in walks.items()]


def _told(candidate: Candidate) -> Trajectory:
    walk = Trajectory.of(candidate.content)
    if not walk.logprobs or not all(math.isfinite(one) for step in walk.logprobs for one in step):
        raise ModelError(
            f"candidate {candidate.index} has no log-probabilities of its actions, so its policy cannot judge it; "
            "choose another judge"
        )
    return walk


def _judged(index: int, walk: Trajectory, steps: int) -> Judgment:
    tokens = [one for step in walk.logprobs[:steps] for one in step]
    mean = sum(tokens) / len(tokens)
    return Judgment(candidate=index, score=mean, analysis=f"ln p is {mean:.4f} a token of the first {steps} steps.")


offers = PolicyLikelihoodJudge
