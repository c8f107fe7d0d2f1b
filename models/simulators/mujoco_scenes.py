"""The embedded simulator: four WidowX tasks in MuJoCo, drawn by EGL or OSMesa."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyprefer.models.simulators.base import Array, Info, Observation, Simulator, checked
from anyprefer.models.simulators.camera import Camera
from anyprefer.models.simulators.rendering import Pictures, load_mujoco
from anyprefer.models.simulators.scene_mjcf import scene_mjcf, told_camera, true_camera
from anyprefer.models.simulators.scene_table import Scene
from anyprefer.models.simulators.shifts import Conditions, changed
from anyprefer.models.simulators.widowx import CLOSED, OPEN, TOUCHING, InverseKinematics, turned

STEPS = 40
"""Control steps of an episode; the expert needs 18."""
CHUNKS, SUBSTEPS = 10, 4
"""A control step of 0.2 s: in 10 chunks the commands move on, each of 4 steps of physics."""
JOINTS = np.minimum(np.arange(1, CHUNKS + 1) / (CHUNKS - 2), 1.0)[:, None]
"""How far on its way the arm's command is in each chunk."""
FINGERS = 0.0035 * np.arange(1, CHUNKS + 1)[:, None]
"""How far a finger's command has moved at most (m); one that jumps knocks the object away."""
WORKSPACE = np.array([0.15, -0.22, 0.012]), np.array([0.45, 0.22, 0.3])
HOME, DOWN = np.array([0.27, 0.0, 0.16]), np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
REST = np.array([0.0, -0.3, 0.6, 0.0, 1.27, 0.0])
"""Joint angles from which the way home is sought."""
LIFTED, IN_A_ROW = 0.015, 3


class MujocoSimulator(Simulator):
    """One scene under given conditions; without `pixels` it draws nothing, and observations hold no picture."""

    def __init__(self, scene: Scene, conditions: Conditions, pixels: bool = True) -> None:
        self._mujoco = load_mujoco()
        self.scene, self._conditions = scene, conditions
        self._source = changed(scene.source, conditions.changed)
        self.objects = (scene.source.name, scene.target.name)
        self.task_description, self._max_episode_steps = scene.instructions[0], STEPS
        self._model = self._mujoco.MjModel.from_xml_string(scene_mjcf(scene, conditions))
        self._data = self._mujoco.MjData(self._model)
        self._solver = InverseKinematics(self._mujoco, self._model)
        self._bodies = {name: self._model.body(name).id for name in ("source", "target", "left_finger", "right_finger")}
        self._site = self._model.site("pinch").id
        self._pictures = Pictures(self._model) if pixels else None
        self._home = self._angles_at_home()
        self._set_spaces(pixels)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, Info]:
        """A start state that the seed alone decides, whatever the shift; `options={"wording": 0..2}` picks the words."""
        super().reset(seed=seed)
        self.task_description = self.scene.instructions[(options or {}).get("wording", 0)]
        self._mujoco.mj_resetData(self._model, self._data)
        self._place_arm()
        self._place_objects()
        self._position, self._rotation, self._gripper = HOME.copy(), DOWN.copy(), 1.0
        self._finger = OPEN
        self._steps = self._held = self._there = 0
        for _ in range(25):  # objects settle
            self._mujoco.mj_step(self._model, self._data)
        self._mujoco.mj_forward(self._model, self._data)
        return self._observation(), self._info()

    def step(self, action: Array) -> tuple[Observation, float, bool, bool, Info]:
        """0.2 s. The reward is 1 in the step that succeeds. Actions beyond `LIMITS` are cut to them.
        Raises `InputError` for one that is not of seven finite numbers."""
        action = checked(action)
        self._position = np.clip(self._position + action[:3], *WORKSPACE)
        self._rotation = turned(action[3:6]) @ self._rotation
        self._gripper = 1.0 if action[6] > 0 else -1.0
        self._move()
        self._steps += 1
        self._count()
        info = self._info()
        done = info["is_success"]
        return self._observation(), float(done), done, self._steps >= STEPS and not done, info

    def render(self) -> Any:
        """The camera's picture (168, 224, 3)."""
        return self._drawing.colours(self._data)

    def depth(self) -> NDArray[np.float32]:
        """See `Simulator`."""
        return self._drawing.depth(self._data)

    def segmentation(self) -> tuple[NDArray[np.uint8], dict[int, str]]:
        """See `Simulator`."""
        names = {1: self.objects[0], 2: self.objects[1], 3: "robot", 4: "table"}
        return self._ids()[self._drawing.geoms(self._data)], names

    def camera(self) -> Camera:
        """See `Simulator`."""
        return true_camera(self._conditions)

    def calibration(self) -> Camera:
        """See `Simulator`."""
        return told_camera()

    def close(self) -> None:
        """Frees what draws."""
        if self._pictures is not None:
            self._pictures.close()

    @property
    def _drawing(self) -> Pictures:
        if self._pictures is None:
            self._pictures = Pictures(self._model)
        return self._pictures

    def _ids(self) -> NDArray[np.uint8]:
        """The id of each geom, and at the end 0 for the background (geom -1)."""
        bodies = self._model.geom_bodyid
        ids = np.full(self._model.ngeom + 1, 3, dtype=np.uint8)
        ids[:-1][bodies == self._bodies["source"]] = 1
        ids[:-1][bodies == self._bodies["target"]] = 2
        ids[self._model.geom("table").id] = 4
        ids[self._model.geom("floor").id] = ids[-1] = 0
        return ids

    def _angles_at_home(self) -> Array:
        angles = REST
        for _ in range(20):
            angles = self._solver.solve(angles, HOME, DOWN)
        return angles

    def _place_arm(self) -> None:
        self._angles = self._home.copy()
        self._data.qpos[:8] = [*self._home, OPEN, OPEN]
        self._data.ctrl[:] = [*self._home, OPEN, OPEN]

    def _place_objects(self) -> None:
        rng = self.np_random
        while True:
            places = rng.uniform([[0.23, -0.11]] * 2, [[0.36, 0.11]] * 2)
            if np.linalg.norm(places[0] - places[1]) >= self.scene.apart:
                break
        yaws = rng.uniform([-0.5, -0.3], [0.5, 0.3])
        for start, thing, (x, y), yaw in zip((8, 15), (self._source, self.scene.target), places, yaws, strict=True):
            self._data.qpos[start : start + 7] = [x, y, thing.half[2], np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]

    def _move(self) -> None:
        goal = self._solver.solve(self._angles, self._position, self._rotation)
        finger = OPEN if self._gripper > 0 else CLOSED
        fingers = self._finger + np.clip(finger - self._finger, -FINGERS, FINGERS)
        commands = np.hstack([self._angles + JOINTS * (goal - self._angles), fingers, fingers])
        for command in commands:
            self._data.ctrl[:] = command
            self._mujoco.mj_step(self._model, self._data, SUBSTEPS)
        self._angles, self._finger = goal, float(fingers[-1, 0])
        self._mujoco.mj_forward(self._model, self._data)

    def _touching(self) -> set[tuple[int, int]]:
        """Pairs of bodies that are in contact, the lower number first."""
        contact = self._data.contact
        bodies = self._model.geom_bodyid[contact.geom[contact.dist < 1e-4]]
        return {_pair(one, other) for one, other in bodies.tolist()}

    def _count(self) -> None:
        """How many steps in a row the object has been held, and has lain where it belongs."""
        pairs, body = self._touching(), self._bodies
        self._fingers = sum(_pair(body["source"], body[f"{side}_finger"]) in pairs for side in ("left", "right"))
        self._held = self._held + 1 if self._fingers == 2 else 0
        on_target = _pair(body["source"], body["target"]) in pairs and (0, body["source"]) not in pairs
        self._there = self._there + 1 if on_target and not self._fingers and self._at_goal() else 0

    def _at_goal(self) -> bool:
        source, target = (self._data.xpos[self._bodies[name]] for name in ("source", "target"))
        height = self._source.half[2] + self.scene.target.surface
        offset = source - target
        return bool(np.hypot(*offset[:2]) < self.scene.near and abs(offset[2] - height) < self.scene.level)

    def _observation(self) -> Observation:
        hand = self._data.site_xpos[self._site]
        lag = self._position - hand
        yaw = np.arctan2(-self._rotation[0, 1], self._rotation[1, 1])
        gap = self._data.qpos[6] + self._data.qpos[7] - 2 * TOUCHING
        state = [*self._position, yaw, gap, self._gripper, np.hypot(lag[0], lag[1]), lag[2]]
        observation: Observation = {"agent_pos": np.array(state)}
        if self._pictures is not None:
            observation["pixels"] = self._pictures.colours(self._data)
        return observation

    def _info(self) -> Info:
        if not self._steps:
            self._fingers = 0
        lifted = self._data.xpos[self._bodies["source"]][2] - self._source.half[2] > LIFTED
        return {
            "is_success": self._there >= IN_A_ROW,
            "is_grasped": bool(self._held >= IN_A_ROW and lifted),
            "touches": self._fingers,
            "poses": self._poses(),
            "task_description": self.task_description,
        }

    def _poses(self) -> dict[str, list[float]]:
        data, quaternion = self._data, np.zeros(4)
        self._mujoco.mju_mat2Quat(quaternion, data.site_xmat[self._site])
        poses = {"hand": [*data.site_xpos[self._site].tolist(), *quaternion.tolist()]}
        for name, body in zip(self.objects, ("source", "target"), strict=True):
            number = self._bodies[body]
            poses[name] = [*data.xpos[number].tolist(), *data.xquat[number].tolist()]
        return poses


def _pair(one: int, other: int) -> tuple[int, int]:
    return min(one, other), max(one, other)
