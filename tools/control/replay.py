"""A trajectory played once more in its simulator, to be looked at: what was drawn while it was collected is not kept.

A simulator's start depends on the seed alone and its physics on the actions, so the replay is the same; where it is not
(another version, another processor), the tool says so and finds nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from anyprefer.core.cost_spec import HAND
from anyprefer.core.task import Task
from anyprefer.core.trajectories import Trajectory
from anyprefer.tools.base import ToolFailure

if TYPE_CHECKING:
    from anyprefer.models.simulators.base import Info, Simulator

T = TypeVar("T")
APART = 0.005
"""Metres between the hand as recorded and as replayed at the end from which on they are not the same trajectory."""


def replayed(task: Task, trajectory: Trajectory, look: Callable[[int, Simulator, Info], T], every: int) -> list[T]:
    """`look(state, simulator, info)` at every so many states, and at the last one.

    Raises `ToolFailure` for a task without a simulator and for a replay that ends elsewhere.
    """
    start = task.start
    if not isinstance(start, dict) or not isinstance(start.get("simulator"), str) or type(start.get("seed")) is not int:
        raise ToolFailure("the task has no start with a simulator and a seed, so its trajectories cannot be replayed")
    if every < 1:
        raise ToolFailure(f"every is {every}; look at every first state at most")
    return _painter().submit(_replayed, start["simulator"], start["seed"], trajectory, look, every).result()


@cache
def _painter() -> ThreadPoolExecutor:
    """The one thread that holds simulators: what draws belongs to the thread that made it."""
    return ThreadPoolExecutor(1, thread_name_prefix="replay")


@cache
def _simulator(spec: str) -> Simulator:
    from anyprefer.models.simulators.by_name import simulator

    return simulator(spec, pixels=False)


def _replayed(spec: str, seed: int, trajectory: Trajectory, look: Callable[..., T], every: int) -> list[T]:
    import numpy as np

    world = _simulator(spec)
    info: dict[str, Any] = world.reset(seed=seed)[1]
    found, last = [look(0, world, info)], len(trajectory.actions)
    for state, action in enumerate(trajectory.actions, 1):
        info = world.step(np.array(action))[4]
        if state % every == 0 or state == last:
            found.append(look(state, world, info))
    if HAND in trajectory.poses:
        apart = float(np.linalg.norm(np.subtract(trajectory.poses[HAND][-1][:3], info["poses"][HAND][:3])))
        if apart > APART:
            raise ToolFailure(f"the replay ends {1000 * apart:.0f} mm from where the recorded trajectory did")
    return found
