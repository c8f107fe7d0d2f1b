"""Episodes in lock step, in this process: one call of the policy for a step of all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from anyprefer.core.trajectories import Trajectory
from anyprefer.core.values import derive_seed
from anyprefer.models.policies.base import Acted, Inputs, Observation, Policy
from anyprefer.models.policies.kept_inputs import keep

if TYPE_CHECKING:
    from anyprefer.models.simulators.base import Simulator

AT_ONCE = 16
"""Episodes in lock step."""


@dataclass(frozen=True)
class Episode:
    """What is to be played."""

    simulator: str
    """As `simulator(SPEC)` takes it."""
    start: int
    """Seed of the start state."""
    instruction: str
    seed: int
    """Of the policy's sampling."""


class LockStep:
    """Simulators that are there, and the episodes played in them."""

    def __init__(self) -> None:
        self._free: dict[str, list[Simulator]] = defaultdict(list)

    def play(self, policy: Policy, episodes: Sequence[Episode], temperature: float) -> list[Trajectory]:
        """One trajectory an episode, in order."""
        parts = [episodes[first : first + AT_ONCE] for first in range(0, len(episodes), AT_ONCE)]
        return [trajectory for part in parts for trajectory in self._played(policy, part, temperature)]

    def close(self) -> None:
        """Frees the simulators."""
        for made in self._free.values():
            while made:
                made.pop().close()

    def _played(self, policy: Policy, episodes: Sequence[Episode], temperature: float) -> list[Trajectory]:
        records = [_Record(episode, self._simulator(episode.simulator)) for episode in episodes]
        while going := [record for record in records if not record.done]:
            seeds = [derive_seed(one.episode.seed, len(one.actions)) for one in going]
            observations = [one.seen for one in going]
            acted = policy.act(observations, [one.episode.instruction for one in going], seeds, temperature)
            for one, observation, step in zip(going, observations, _rows(acted), strict=True):
                one.take(step, policy.inputs(observation))
        for record in records:
            self._free[record.episode.simulator].append(record.simulator)
        return [record.trajectory() for record in records]

    def _simulator(self, spec: str) -> Simulator:
        from anyprefer.models.simulators.by_name import simulator

        return self._free[spec].pop() if self._free[spec] else simulator(spec)


def _rows(acted: Acted) -> Iterator[Acted]:
    return (Acted(*row) for row in zip(*acted, strict=True))


@dataclass
class _Record:
    """An episode so far."""

    episode: Episode
    simulator: Simulator
    done: bool = False
    actions: list[list[float]] = field(default_factory=list)
    tokens: list[list[int]] = field(default_factory=list)
    logprobs: list[list[float]] = field(default_factory=list)
    inputs: list[Inputs] = field(default_factory=list)

    def __post_init__(self) -> None:
        observation, info = self.simulator.reset(seed=self.episode.start)
        self.states, self.infos = [observation["agent_pos"].tolist()], [info]
        self.seen: Observation = {**observation, "calibration": self.simulator.calibration()}

    def take(self, step: Acted, inputs: Inputs) -> None:
        """The action, and where it led."""
        observation, _, ended, truncated, info = self.simulator.step(step.actions)
        self.seen = {**observation, "calibration": self.simulator.calibration()}
        self.states.append(observation["agent_pos"].tolist())
        self.infos.append(info)
        self.actions.append(step.actions.tolist())
        self.tokens.append(step.tokens.tolist())
        self.logprobs.append(step.log_probabilities.tolist())
        self.inputs.append(inputs)
        self.done = bool(ended or truncated)

    def trajectory(self) -> Trajectory:
        """What is kept."""
        recorded: dict[str, Any] = {
            "success": bool(self.infos[-1]["is_success"]),
            "grasped": [bool(info["is_grasped"]) for info in self.infos],
            "poses": {name: [info["poses"][name] for info in self.infos] for name in self.infos[0]["poses"]},
        }
        if self.inputs[0]:
            recorded |= {"inputs": keep(self.inputs)}
        if np.isfinite(self.logprobs).all():
            recorded |= {"tokens": self.tokens, "logprobs": self.logprobs}
        return Trajectory(states=self.states, actions=self.actions, instruction=self.episode.instruction, **recorded)
