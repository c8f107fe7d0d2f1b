"""The expert's demonstrations that the small policy is built from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from anyprefer.models.policies.base import Inputs, Observation
from anyprefer.models.simulators.by_name import simulator
from anyprefer.models.simulators.expert import Step, demonstration
from anyprefer.models.simulators.scene_table import SCENES, Scene

if TYPE_CHECKING:
    from anyprefer.models.simulators.mujoco_scenes import MujocoSimulator

FIRST = 100_000
"""The first start's seed; candidates, and what is held out, have others."""
EPISODES = 1000
"""Of each task."""


@dataclass(frozen=True)
class Demonstrations:
    """Steps of the expert, with what the policy sees."""

    scene: NDArray[np.uint8]
    """(N, 48, 64, 3)."""
    crop: NDArray[np.uint8]
    """(N, 48, 48, 3)."""
    state: NDArray[np.float32]
    """(N, 8)."""
    action: NDArray[np.float32]
    """(N, 7), what the expert would do, whatever was done."""
    task: NDArray[np.int64]
    """(N,), the place of the task in `instructions`."""
    truth: NDArray[np.float32]
    """(N, 10) for the auxiliary head: where source and target are from the hand (6), source's yaw (2), whether it is
    held and whether it is over the target."""
    instructions: Sequence[Sequence[str]]
    """Wordings of each task."""


class Shown(NamedTuple):
    """A step as it is kept."""

    inputs: Inputs
    action: NDArray[np.float64]
    truth: list[float]


def demonstrations(
    inputs: Callable[[Observation], Inputs], episodes: int = EPISODES, scenes: Sequence[str] = tuple(SCENES)
) -> Demonstrations:
    """Steps of `episodes` starts of each scene; `inputs` is what the policy makes of an observation."""
    found, tasks = list[Shown](), list[int]()
    for number, name in enumerate(scenes):
        made: Any = simulator(f"mujoco:{name}")
        for seed in tqdm(range(FIRST, FIRST + episodes), desc=f"{name}, demonstrations", leave=False):
            steps = _episode(made, seed, inputs)
            found += steps
            tasks += [number] * len(steps)
        made.close()
    return Demonstrations(
        **{name: np.stack([step.inputs[name] for step in found]) for name in ("scene", "crop", "state")},
        action=np.array([step.action for step in found], dtype=np.float32),
        task=np.array(tasks),
        truth=np.array([step.truth for step in found], dtype=np.float32),
        instructions=[SCENES[name].instructions for name in scenes],
    )


def _episode(made: MujocoSimulator, seed: int, inputs: Callable[[Observation], Inputs]) -> list[Shown]:
    """The steps of an episode. One whose noise was not overcome counts too: each action is what the expert would do there."""
    camera = made.calibration()
    return [
        Shown(inputs({**step.observation, "calibration": camera}), step.action, truth(made.scene, step))
        for step in demonstration(made, seed)
    ]


def truth(scene: Scene, step: Step) -> list[float]:
    """What the auxiliary head is asked for, see `Demonstrations.truth`."""
    state, poses = step.observation["agent_pos"], step.info["poses"]
    source, target = (np.array(poses[thing.name]) for thing in (scene.source, scene.target))
    turn = 2 * (2 * np.arctan2(source[6], source[3]) - state[3])  # a half turn looks the same
    over = np.hypot(*(source - target)[:2]) < scene.near
    away = [*(source[:3] - state[:3]) * 10, *(target[:3] - state[:3]) * 10]
    return [*map(float, away), float(np.sin(turn)), float(np.cos(turn)), float(step.info["touches"] == 2), float(over)]
