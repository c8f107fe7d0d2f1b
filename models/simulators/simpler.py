"""SIMPLER's WidowX scenes (Li et al. 2024, arXiv 2405.05941) in ManiSkill 3, behind the interface of all simulators.

    env = simulator("simpler:carrot")
    env.reset(seed=0)                                # one of SIMPLER's initial states, its objects moved by up to 2 cm
    env.reset(options={"episode_id": 3})             # that initial state itself

An episode has all its 60 steps (eggplant 120), and success is what holds at the last one, as SIMPLER scores it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyprefer.models.simulators.base import HEIGHT, WIDTH, Array, Info, Observation, Simulator, checked
from anyprefer.models.simulators.camera import Camera
from anyprefer.models.simulators.maniskill import CAMERA, opened
from anyprefer.models.simulators.simpler_table import SimplerTask

TOUCHED = 0.05
"""Newtons between a finger and the object from which on they touch (ManiSkill's own threshold for source and target)."""
SHUT = 0.015
"""Where a finger stands when both meet (m from the middle)."""


class SimplerSimulator(Simulator):
    """One of SIMPLER's tasks; without `pixels` it draws when asked to, and observations hold no picture."""

    _told: dict[str, Any]
    """What ManiSkill says of this state."""
    _seen: Any
    """What it drew of this state; None where nobody has asked."""
    _base: tuple[Array, Any]
    """Where the robot's base is in ManiSkill's world, and how it is turned."""
    _position: Array
    _rotation: Any
    _gripper: float
    _steps: int

    def __init__(self, task: SimplerTask, pixels: bool = True) -> None:
        """Raises `ModelSetupError` with what to install where ManiSkill, its files or Vulkan are missing."""
        self._task, self.scene, self._pixels = task, task.scene, pixels
        self.objects = (task.scene.source.name, task.scene.target.name)
        self.task_description, self._max_episode_steps = task.scene.instructions[0], task.steps
        self._env = opened(task.environment)
        self._places = self._env.xyz_configs
        self._set_spaces(pixels)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, Info]:
        """A start state that the seed alone decides; `options={"episode_id": k}` is SIMPLER's initial state k (24 of each
        task, eggplant 64), `{"wording": 0..2}` picks the words."""
        import torch

        super().reset(seed=seed)
        asked = options or {}
        self.task_description = self.scene.instructions[asked.get("wording", 0)]
        drawn = int(self.np_random.integers(len(self._places) * len(self._env.quat_configs)))
        moved = self.np_random.uniform(-1, 1, (2, 2)) * np.array(self._task.moved)[:, None]
        self._env.xyz_configs = self._places.clone()
        if "episode_id" not in asked:
            self._env.xyz_configs[:, :, :2] += torch.as_tensor(moved)
        number = torch.tensor([asked.get("episode_id", drawn)])
        self._told = self._env.reset(seed=0, options={"episode_id": number})[1]
        self._begin()
        return self._observation(), self._info()

    def step(self, action: Array) -> tuple[Observation, float, bool, bool, Info]:
        """0.2 s. The reward is 1 in the last step of an episode that succeeds. Actions beyond `LIMITS` are cut to them.
        Raises `InputError` for one that is not of seven finite numbers."""
        from scipy.spatial.transform import Rotation

        action = checked(action)
        self._position = self._position + action[:3]
        turn = Rotation.from_rotvec(action[3:6])
        self._rotation = turn * self._rotation
        self._gripper = 1.0 if action[6] > 0 else -1.0
        # ManiSkill takes the angles about x, y and z, SIMPLER and we the axis times the angle
        command = np.array([*action[:3], *turn.as_euler("XYZ"), self._gripper], dtype=np.float32)
        self._told = self._env.step(command)[4]
        self._steps, self._seen = self._steps + 1, None
        info, last = self._info(), self._steps >= self._max_episode_steps
        done = bool(info["is_success"])
        return self._observation(), float(done), done, last and not done, info

    def render(self) -> Any:
        """The camera's picture (168, 224, 3)."""
        return self._look("rgb")

    def depth(self) -> NDArray[np.float32]:
        """See `Simulator`; whole millimetres."""
        return (self._look("depth")[..., 0] / 1000).astype(np.float32)

    def segmentation(self) -> tuple[NDArray[np.uint8], dict[int, str]]:
        """See `Simulator`; all that is neither object nor robot is the table, but for the sky."""
        numbers = self._look("segmentation")[..., 0]
        ids = np.where(numbers > 0, 4, 0).astype(np.uint8)
        source, target = self._things()
        for number, thing in self._env.segmentation_id_map.items():
            if thing is source or thing is target:
                ids[numbers == number] = 1 if thing is source else 2
            elif thing.name in self._env.agent.robot.links_map:
                ids[numbers == number] = 3
        return ids, {1: self.objects[0], 2: self.objects[1], 3: "robot", 4: "table"}

    def camera(self) -> Camera:
        """See `Simulator`."""
        seen = self._env.get_sensor_params()[CAMERA]
        outside, focal = _array(seen["extrinsic_cv"]), float(_array(seen["intrinsic_cv"])[0, 0])
        at, turned = self._base
        rotation = turned.inv().as_matrix() @ outside[:, :3].T
        return Camera(turned.inv().apply(-outside[:, :3].T @ outside[:, 3] - at), rotation, focal, WIDTH, HEIGHT)

    def calibration(self) -> Camera:
        """See `Simulator`."""
        return self.camera()

    def close(self) -> None:
        """Frees what draws."""
        self._env.close()

    def _begin(self) -> None:
        """What an episode starts with; the commanded pose is the hand's."""
        root = self._env.agent.robot.pose
        self._base = _array(root.p), _rotation(root.q)
        self._position, self._rotation = self._placed(self._hand)
        self._gripper, self._steps, self._seen = 1.0, 0, None

    @property
    def _hand(self) -> Any:
        return self._env.agent.robot.links_map["ee_gripper_link"]

    def _things(self) -> tuple[Any, Any]:
        """Source and target."""
        return self._env.objs[self._env.source_obj_name], self._env.objs[self._env.target_obj_name]

    def _placed(self, thing: Any) -> tuple[Array, Any]:
        """Where something is, in the base frame, and how it is turned."""
        at, turned = self._base
        return turned.inv().apply(_array(thing.pose.p) - at), turned.inv() * _rotation(thing.pose.q)

    def _look(self, what: str) -> NDArray[Any]:
        """(168, 224, …) of this state, drawn once."""
        if self._seen is None:
            self._seen = self._env.look(self._told)
        return _array(self._seen[what], None)

    def _observation(self) -> Observation:
        hand = self._placed(self._hand)[0]
        lag, matrix = self._position - hand, self._rotation.as_matrix()
        yaw = np.arctan2(-matrix[0, 1], matrix[1, 1])
        fingers = _array(self._env.agent.robot.qpos)[-2:]
        gap = fingers.sum() - 2 * SHUT
        state = [*self._position, yaw, gap, self._gripper, np.hypot(lag[0], lag[1]), lag[2]]
        observation: Observation = {"agent_pos": np.array(state)}
        if self._pixels:
            observation["pixels"] = self.render()
        return observation

    def _info(self) -> Info:
        things = {"hand": self._hand, **dict(zip(self.objects, self._things(), strict=True))}
        last = self._steps >= self._max_episode_steps
        return {
            "is_success": last and bool(self._told["success"][0]),
            "is_grasped": bool(self._env.consecutive_grasp[0] > 0),
            "touches": self._touches(),
            "poses": {name: self._pose(thing) for name, thing in things.items()},
            "task_description": self.task_description,
        }

    def _pose(self, thing: Any) -> list[float]:
        at, turned = self._placed(thing)
        return [*at.tolist(), *np.roll(turned.as_quat(), 1).tolist()]

    def _touches(self) -> int:
        agent, source = self._env.agent, self._things()[0]
        forces = (
            self._env.scene.get_pairwise_contact_forces(finger, source)
            for finger in (agent.finger1_link, agent.finger2_link)
        )
        return sum(float(np.linalg.norm(_array(force))) > TOUCHED for force in forces)


def _array(tensor: Any, kind: Any = np.float64) -> NDArray[Any]:
    """The one scene's part of a batch of one."""
    return np.asarray(tensor[0].cpu().numpy(), dtype=kind)


def _rotation(quaternion: Any) -> Any:
    """Of (1, 4) w, x, y, z."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_quat(np.roll(_array(quaternion), -1))
