"""What a policy is: from what is seen and told, to an action and how likely each of its tokens was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn

Observation = Mapping[str, Any]
"""`pixels` (H, W, 3) uint8, `agent_pos` (8,) float, whose first three are the commanded pinch point in metres, and
`calibration`, the camera as the policy is told that it is (a simulator's `calibration()`, which a rollout adds)."""
Inputs = dict[str, NDArray[Any]]
"""What a policy makes of an observation and keeps, so that its trainer need not see the observation again."""
Floats = NDArray[np.float64]
Tokens = NDArray[np.int64]
DIMENSIONS = 7
"""x, y, z in metres, roll, pitch, yaw in radians, each added to the commanded pose; gripper, 1 open and -1 closed."""


class Acted(NamedTuple):
    """One step of n episodes."""

    actions: Floats
    """(n, 7), as the simulators take them."""
    tokens: Tokens
    """(n, 7), the bins 0..255 that they come from."""
    log_probabilities: Floats
    """(n, 7), ln of each token's probability at T = 1 whatever it was sampled at; NaN where a policy returns none."""


class Policy(Protocol):
    """π_t as a simulator's rollouts play it."""

    name: str
    checkpoint: str
    """What it was loaded from: the part of `policy:SPEC` after the colon."""

    def act(
        self,
        observations: Sequence[Observation],
        instructions: Sequence[str],
        seeds: Sequence[int],
        temperature: float,
    ) -> Acted:
        """One action for each observation, sampled with its own seed; T = 0 takes the likeliest tokens. What a row gets
        depends on the others by rounding alone. Raises `ModelError` where a policy behind a URL fails."""
        ...

    def inputs(self, observation: Observation) -> Inputs:
        """What is kept of an observation for training; empty for a policy that cannot be trained here."""
        ...


class TrainablePolicy(Policy, Protocol):
    """A policy whose weights are here."""

    module: nn.Module

    def log_probabilities(self, inputs: Sequence[Inputs], instructions: Sequence[str], tokens: Tensor) -> Tensor:
        """ln p (n, 7) of tokens (n, 7), each given those before it, at T = 1; with gradients."""
        ...

    def with_lora(self, rank: int, alpha: int) -> None:
        """Freezes the weights and puts LoRA beside all linear layers; one that has it continues with its own."""
        ...

    def save(self, folder: Path) -> str:
        """Writes what `policy(SPEC)` loads again, and returns SPEC."""
        ...


def uniforms(seeds: Sequence[int]) -> Floats:
    """(n, 7) numbers in [0, 1), of each row's seed alone."""
    return np.array([np.random.default_rng(seed).random(DIMENSIONS) for seed in seeds]).reshape(-1, DIMENSIONS)
