"""A stand-in for ManiSkill's SIMPLER scenes at the seam: the same names, shapes and batches of one, a world without physics.

The hand follows at once, closed fingers hold what is between them, and what is let go of falls straight down.
"""

import sys
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import numpy as np
import torch

from anyprefer.models.simulators import maniskill
from anyprefer.models.simulators.simpler_table import SIMPLER_TASKS

ROOT = np.array([0.147, 0.028, 0.87])
"""The robot stands here and looks back along x, as SIMPLER's does."""
TURNED = np.diag([-1.0, -1.0, 1.0])
DOWN = [0.70710678, 0.0, 0.70710678, 0.0]


def one(values, kind=torch.float32):
    return torch.tensor(np.asarray(values), dtype=kind)[None]


class Thing:
    def __init__(self, name, at, turned=(1.0, 0.0, 0.0, 0.0)):
        self.name, self.at, self.turned = name, np.array(at, dtype=float), turned

    @property
    def pose(self):
        return SimpleNamespace(p=one(self.at), q=one(self.turned))


class Scene:
    """A carrot's task with an eggplant's number of nothing: one class serves all four names."""

    _objects_to_remove_from_greenscreen: ClassVar[list] = []
    _rgb_overlay_images: ClassVar[dict] = {}
    SUPPORTED_OBS_MODES = ("rgb+segmentation",)

    def __init__(self, obs_mode, num_envs, sim_backend, render_backend, sensor_configs):
        assert obs_mode in self.SUPPORTED_OBS_MODES
        self.size, self.intrinsic = (sensor_configs["height"], sensor_configs["width"]), sensor_configs["intrinsic"]
        self.xyz_configs = torch.tensor(
            [[[-0.2, 0.05, 0.885], [-0.1, -0.06, 0.873]], [[-0.1, 0.05, 0.885], [-0.2, -0.06, 0.873]]]
        )
        self.quat_configs = torch.tensor([[[1.0, 0, 0, 0], [1.0, 0, 0, 0]]])
        self.source_obj_name, self.target_obj_name = "bridge_source", "bridge_target"
        self.objs = {name: Thing(name, (0, 0, 0)) for name in (self.source_obj_name, self.target_obj_name)}
        self._objects_to_remove_from_greenscreen.extend(self.objs)
        self.finger1_link, self.finger2_link, self.hand = (
            Thing(name, ROOT) for name in ("left_finger_link", "right_finger_link", "ee_gripper_link")
        )
        links = {thing.name: thing for thing in (self.finger1_link, self.finger2_link, self.hand)}
        pose = SimpleNamespace(p=one(ROOT), q=one([0.0, 0, 0, 1]))
        self.agent = SimpleNamespace(
            robot=SimpleNamespace(pose=pose, links_map=links, qpos=one([0.0] * 6 + [0.037] * 2)),
            finger1_link=self.finger1_link,
            finger2_link=self.finger2_link,
        )
        self.scene = SimpleNamespace(get_pairwise_contact_forces=lambda finger, thing: one([0, 0.0, float(self.held)]))
        named = {
            1: self.finger1_link,
            2: self.finger2_link,
            3: self.objs["bridge_source"],
            4: self.objs["bridge_target"],
            5: Thing("arena", ROOT),
        }
        self.segmentation_id_map, self.drawn, self.closed = named, 0, False
        self.get_obs()

    def reset(self, seed, options):
        [number] = options["episode_id"].tolist()
        for name, at in zip(self.objs, self.xyz_configs[number % len(self.xyz_configs)], strict=True):
            self.objs[name].at = at.double().numpy().copy()
        self.hand.at, self.hand.turned = ROOT + TURNED @ [0.29, 0.0, 0.13], self._down()
        self.held, self.consecutive_grasp = False, torch.zeros(1, dtype=torch.int32)
        self.commands = []
        return self.get_obs(), self._told()

    def step(self, command):
        assert command.shape == (7,)
        assert command.dtype == np.float32
        self.commands.append(command)
        source, shut = self.objs[self.source_obj_name], command[6] < 0
        moved = TURNED @ command[:3]
        self.hand.at = self.hand.at + moved
        if self.held:
            source.at = source.at + moved
        self.held = bool(shut and (self.held or np.linalg.norm(source.at - self.hand.at) < 0.02))
        if not self.held:
            source.at[2] = 0.895 if self._over() else 0.885
        finger = 0.037 if not shut else 0.025 if self.held else 0.015
        self.agent.robot.qpos = one([0.0] * 6 + [finger] * 2)
        self.consecutive_grasp = (self.consecutive_grasp + 1) * int(self.held)
        told = self._told()
        return self.get_obs(told), torch.zeros(1), told["success"], torch.zeros(1, dtype=torch.bool), told

    def get_obs(self, info=None, unflattened=False):
        self.drawn += 1
        height, width = self.size
        numbers = torch.full((1, height, width, 1), 5, dtype=torch.int16)
        numbers[:, :20] = 0
        for number in (1, 3, 4):
            numbers[:, 20 * number : 20 * number + 10, 50:70] = number
        seen = {
            "rgb": torch.full((1, height, width, 3), 90, dtype=torch.uint8),
            "depth": torch.full((1, height, width, 1), 500, dtype=torch.int16),
            "segmentation": numbers,
        }
        return {"sensor_data": {"3rd_view_camera": seen}}

    def get_sensor_params(self):
        """A camera half a metre above the robot that looks straight down, its columns along the robot's y."""
        across = np.array([[0.0, -1, 0], [-1, 0, 0], [0, 0, -1]])
        outside = np.hstack([across, -(across @ (ROOT + np.array([0, 0, 0.5])))[:, None]])
        return {"3rd_view_camera": {"extrinsic_cv": one(outside), "intrinsic_cv": one(self.intrinsic)}}

    def close(self):
        self.closed = True

    def _told(self):
        return {"success": torch.tensor([bool(not self.held and self._over())])}

    def _over(self):
        away = self.objs[self.source_obj_name].at - self.objs[self.target_obj_name].at
        return np.hypot(*away[:2]) < 0.05

    @staticmethod
    def _down():
        """Fingers downwards, in the world, of a robot that is turned by half a turn."""
        return [-DOWN[3], -DOWN[2], DOWN[1], DOWN[0]]


def stand_in(monkeypatch, folder):
    """Puts the stand-in where ManiSkill would be, with SIMPLER's files in `folder`, and returns its class."""
    for needed in maniskill._NEEDED:
        (folder / needed).mkdir(parents=True)
    scene = type("Scene", (Scene,), {"_objects_to_remove_from_greenscreen": [], "_rgb_overlay_images": {}})
    package, tasks = ModuleType("mani_skill"), ModuleType(maniskill._TASKS)
    package.ASSET_DIR = folder
    for task in SIMPLER_TASKS.values():
        setattr(tasks, task.environment, scene)
    monkeypatch.setitem(sys.modules, "mani_skill", package)
    monkeypatch.setitem(sys.modules, maniskill._TASKS, tasks)
    return scene
