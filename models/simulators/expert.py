"""The scripted expert: it sees the poses, remembers nothing, and shows how each task is done.

What it does follows from what an observer sees in this step alone (poses, the fingers' gap and contacts, the last
gripper command), so that a policy without a memory can imitate it.

    for step in demonstration(simulator("mujoco:carrot"), seed=100_000):
        step.observation["pixels"], step.instruction, step.action        # action: (7,), the expert's own
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from anyprefer.models.simulators.base import LIMITS, Array, Info, Observation, Simulator
from anyprefer.models.simulators.scene_table import Scene

LONGEST, TURN = 0.045, 0.2
"""Of a step (m), and of its turn (rad)."""
HOVER, CARRY, AWAY = 0.075, 0.12, 0.3
"""Height of the pinch point above the object when reaching, of a held object above the table, and of the pinch point when
all is done (m)."""
ALIGNED, TURNED = 0.006, 0.1
"""In place to go all the way down: m in the plane, and rad; from three times as much on it stays at `HOVER`."""
OVER = 0.012
"""In place to lower what is held (m)."""
LOW = 0.016
"""Lowest pinch point: the pads end 14 mm below."""
SHUT = 0.003
"""A gap of the fingers that holds nothing (m)."""


@dataclass(frozen=True)
class View:
    """A step as the expert sees it; lengths in metres."""

    hand: Array
    commanded: Array
    yaw: float
    gap: float
    closing: bool
    touches: int
    source: Array
    source_yaw: float
    target: Array

    @classmethod
    def of(cls, scene: Scene, observation: Observation, info: Info) -> View:
        """From what the simulator says."""
        state, poses = observation["agent_pos"], info["poses"]
        source, target = (np.array(poses[thing.name]) for thing in (scene.source, scene.target))
        return cls(
            np.array(poses["hand"][:3]), state[:3], state[3], state[4], state[5] < 0, info["touches"],
            source[:3], _yaw(source[3:]), target[:3],
        )  # fmt: skip


def action(scene: Scene, observation: Observation, info: Info) -> Array:
    """(7,) what the expert does now."""
    view = View.of(scene, observation, info)
    if _placed(scene, view):
        return _let_go(scene, view)
    if view.closing and view.touches == 2:
        return _bring(scene, view)
    return _fetch(scene, view)


def _placed(scene: Scene, view: View) -> bool:
    offset = view.source - view.target
    return bool(np.hypot(*offset[:2]) < 0.8 * scene.near and offset[2] < scene.goal_height + 0.5 * scene.level)


def _let_go(scene: Scene, view: View) -> Array:
    """Opens, and once open goes up and away."""
    up = 0.0 if view.closing or view.touches else AWAY + scene.floor - view.commanded[2]
    return _go(np.array([0.0, 0, up]), 0.0, 1.0)


def _bring(scene: Scene, view: View) -> Array:
    """Lifts what is held, carries it over the target and lowers it."""
    offset = view.target + np.array([0, 0, scene.goal_height]) - view.source
    # what is held lags behind the command as the hand does
    offset += view.hand - view.commanded
    if np.hypot(*offset[:2]) < OVER:
        return _go(offset - np.array([0, 0, 0.004]), 0.0, -1.0)
    up = CARRY + scene.floor - view.source[2] + (view.hand - view.commanded)[2]
    across = offset[:2] if up < 0.5 * LONGEST else np.zeros(2)
    return _go(np.array([*across, up]), 0.0, -1.0)


def _fetch(scene: Scene, view: View) -> Array:
    """Over the object, down to it, and closes."""
    ahead = np.array([np.cos(view.source_yaw), np.sin(view.source_yaw), 0]) * scene.source.grasp
    grasp = view.source + ahead
    grasp[2] = max(LOW + scene.floor, grasp[2])
    offset, turn = grasp - view.commanded, _turn(view.source_yaw - view.yaw, scene.source.period)
    off = max(float(np.hypot(*offset[:2])) / ALIGNED, abs(turn) / TURNED)
    if off < 2 and abs(offset[2]) < ALIGNED and (view.gap > SHUT or not view.closing):
        return _go(np.zeros(3), 0.0, -1.0)
    # the better it is in place the lower it goes: who misjudges that by some millimetres still comes down
    height = HOVER if view.closing else HOVER * np.clip((off - 1) / 2, 0, 1)
    return _go(offset + np.array([0, 0, height]), turn, 1.0)


def _go(offset: Array, turn: float, gripper: float) -> Array:
    """An action of at most the longest step; the way across and the way up are cut each by itself."""
    across = offset[:2] * min(1.0, LONGEST / max(float(np.hypot(*offset[:2])), 1e-9))
    up = np.clip(offset[2], -LONGEST, LONGEST)
    return np.array([*across, up, 0.0, 0.0, np.clip(turn, -TURN, TURN), gripper])


def _turn(angle: float, period: float) -> float:
    return float((angle + period / 2) % period - period / 2)


def _yaw(quaternion: Array) -> float:
    w, x, y, z = quaternion
    return float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))


@dataclass(frozen=True)
class Step:
    """A step of a demonstration: what was seen, and what the expert would do, whatever noise was played."""

    observation: Observation
    info: Info
    instruction: str
    action: Array


CLEAN, KICKED, FLIPPED = 0.25, 0.06, 0.015
"""Share of episodes without noise; of steps with a kick; of gripper commands turned round."""
NOISE, KICK = (0.004, 0.012), 0.06
"""Standard deviation of an episode's noise, drawn between these, and the longest kick (m)."""


def demonstration(simulator: Simulator, seed: int, noise: bool = True) -> Generator[Step, None, bool]:
    """The steps of one episode from a seeded start, in one of the three wordings.

    Noise is added to what is played, so that the expert shows how to recover (DART, arXiv 1703.09327); the generator
    returns whether the task was done.
    """
    rng = np.random.default_rng([seed, 1])
    spread = rng.uniform(*NOISE) if noise and rng.random() >= CLEAN else 0.0
    observation, info = simulator.reset(seed=seed, options={"wording": int(rng.integers(3))})
    done = False
    while not done:
        wanted = action(simulator.scene, observation, info)
        yield Step(observation, info, info["task_description"], wanted)
        observation, _, success, truncated, info = simulator.step(noised(wanted, spread, rng) if spread else wanted)
        done = success or truncated
    return bool(info["is_success"])


def noised(wanted: Array, spread: float, rng: np.random.Generator) -> Array:
    """The action with noise of that standard deviation (m; turns get five times as many rad), kicks and flips."""
    played = wanted.copy()
    played[:3] += rng.normal(0, spread, 3)
    played[5] += rng.normal(0, 5 * spread)
    if rng.random() < KICKED:
        played[:3] += rng.uniform(-KICK, KICK, 3)
    if rng.random() < FLIPPED:
        played[6] = -played[6]
    return np.clip(played, -LIMITS, LIMITS)
