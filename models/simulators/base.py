"""What every simulator offers: gymnasium's interface, and what tools and judges ask of a scene.

The keys are LeRobot's, so that its policies and `lerobot-eval` can drive it. An action is SIMPLER's
(ManiSkill2_real2sim, WidowX): 7 numbers, 5 a second: the change of the commanded position (m, base frame), the change of
its rotation (axis times angle in rad, base frame), and the gripper (> 0 opens).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, cast

import gymnasium
import numpy as np
from numpy.typing import NDArray

from anyprefer.core.errors import InputError
from anyprefer.models.simulators.camera import Camera
from anyprefer.models.simulators.scene_table import HERTZ, Scene

WIDTH, HEIGHT = 224, 168
LIMITS = np.array([0.0459] * 3 + [0.204] * 3 + [1.0])
"""Largest action either way: the 1st and 99th percentiles of demonstrations lie at them."""

Array = NDArray[np.float64]
Observation = dict[str, NDArray[Any]]
Info = dict[str, Any]


class Simulator(gymnasium.Env[Observation, Array]):
    """One task in a simulator.

    Observations: `pixels` uint8 (168, 224, 3), where rendered, and `agent_pos` float (8,): the commanded position of
    the pinch point (x, y, z in m), its yaw (rad), the gap between the fingers (m), the last gripper command (±1), and
    how far the hand lags behind (m; in the plane, and upwards).

    `info` of each step: `is_success` (from now on the task is done), `is_grasped` (the object is held and lifted *in
    this step*), `touches` (how many fingers touch it), `poses` {name: [x, y, z, qw, qx, qy, qz]} of both objects and
    `hand` (m, unit quaternion, base frame), `task_description`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": HERTZ}  # noqa: RUF012 (gymnasium's own declaration)
    render_mode = "rgb_array"
    scene: Scene
    task_description: str
    objects: tuple[str, str]
    """The names of the object to be moved and of the one where it belongs."""
    _max_episode_steps: int

    def _set_spaces(self, pixels: bool) -> None:
        """Gymnasium's spaces of what is done and seen."""
        self.action_space = cast(Any, gymnasium.spaces.Box(-LIMITS, LIMITS, dtype=np.float64))
        spaces: dict[str, Any] = {"agent_pos": gymnasium.spaces.Box(-np.inf, np.inf, (8,), np.float64)}
        if pixels:
            spaces["pixels"] = gymnasium.spaces.Box(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        self.observation_space = cast(Any, gymnasium.spaces.Dict(spaces))

    @abstractmethod
    def depth(self) -> NDArray[np.float32]:
        """(168, 224) metres along the view, of the true camera."""

    @abstractmethod
    def segmentation(self) -> tuple[NDArray[np.uint8], dict[int, str]]:
        """(168, 224) ids, and the name of each: the objects, `robot`, `table`; 0 is the background."""

    @abstractmethod
    def camera(self) -> Camera:
        """The camera as it is."""

    @abstractmethod
    def calibration(self) -> Camera:
        """The camera as a policy is told that it is; it does not know of a bump."""


def checked(action: Array) -> Array:
    """(7,) what is played of an action: cut to `LIMITS`. Raises `InputError` for one that is not of seven finite numbers."""
    action = np.asarray(action, dtype=float)
    if action.shape != LIMITS.shape or not np.isfinite(action).all():
        raise InputError(f"an action is (7,) finite numbers, not {action.tolist()!r:.200}")
    cut: Array = np.minimum(np.maximum(action, -LIMITS), LIMITS)
    return cut
