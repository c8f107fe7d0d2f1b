"""Opens SIMPLER's scenes in ManiSkill 3 (`anyprefer[simpler]`), or says what to install.

environment = opened("PutCarrotOnPlateInScene")
environment.reset(seed=0, options={"episode_id": torch.tensor([3])})
environment.look({})["rgb"]                    # (1, 168, 224, 3), drawn when asked for alone
"""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import Any

import numpy as np

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.simulators.base import HEIGHT, WIDTH

CAMERA = "3rd_view_camera"
"""SIMPLER's name of the camera that policies see by."""
FOCAL = 623.588 * WIDTH / 640
"""Pixels: of the Logitech C920 that SIMPLER measured at 640 x 480."""
OBSERVED = "rgb+depth+segmentation"
INSTALL = 'pip install "anyprefer[simpler]"'
MESA = (
    "without a GPU they are drawn by Mesa's lavapipe, version 25 or newer: apt-get install mesa-vulkan-drivers libvulkan1 on "
    "Debian 13, or with -t bookworm-backports on Debian 12, whose own is too old"
)
ASSETS = (
    "python -m mani_skill.utils.download_asset bridge_v2_real2sim -y && python -m mani_skill.utils.download_asset widowx250s "
    "-y; or set MS_ASSET_DIR to the folder that has them under data/"
)
_TASKS = "mani_skill.envs.tasks.digital_twins.bridge_dataset_eval.put_on_in_scene"
_NEEDED = ("tasks/bridge_v2_real2sim_dataset", "robots/widowx/wx250s.urdf")


def opened(environment: str) -> Any:
    """ManiSkill's environment of that class, one scene on the CPU, not drawn before `look(info)`.

    Raises `ModelSetupError` with the lines that install it where ManiSkill, SIMPLER's files or Vulkan are missing.
    """
    base = getattr(_tasks(), environment)
    # SAPIEN's first pixel goes from 0 to 1, `Camera`'s from -0.5 to 0.5
    middle = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    camera = {"shader_pack": "minimal", "width": WIDTH, "height": HEIGHT, "intrinsic": middle}
    try:
        return _own(base)(
            obs_mode=OBSERVED, num_envs=1, sim_backend="physx_cpu", render_backend="cpu", sensor_configs=camera
        )
    except RuntimeError as error:
        raise ModelSetupError(f"SIMPLER's scene {environment} cannot be opened ({error}); {MESA}") from error


def _tasks() -> Any:
    """ManiSkill's module of the tasks, once what they need is there."""
    try:
        folder = Path(importlib.import_module("mani_skill").ASSET_DIR)
        missing = [name for name in _NEEDED if not (folder / name).exists()]
        if missing:
            raise ModelSetupError(f"SIMPLER's scenes need {' and '.join(missing)} in {folder}: {ASSETS}")
        tasks = importlib.import_module(_TASKS)
    except ImportError as error:
        raise ModelSetupError(f"SIMPLER's scenes need ManiSkill 3 ({error}): {INSTALL}") from error
    logging.getLogger("mani_skill ").setLevel(logging.ERROR)  # named so; it warns of its own scenes, twice an object
    return tasks


def _own(base: Any) -> Any:
    """The class with lists of its own, and drawn on request.

    In ManiSkill 3.0.1 one list and one dictionary of `digital_twins/base_env.py` belong to the class, so that a process's
    second task would be drawn with the first one's background and objects.
    """

    def unseen(self: Any, info: Any = None, unflattened: bool = False) -> dict[str, Any]:
        return {}

    def look(self: Any, info: dict[str, Any]) -> Any:
        return base.get_obs(self, info)["sensor_data"][CAMERA]

    own: dict[str, Any] = {
        "_objects_to_remove_from_greenscreen": [],
        "_rgb_overlay_images": {},
        "SUPPORTED_OBS_MODES": [OBSERVED],
    }
    return type(base.__name__, (base,), {**own, "get_obs": unseen, "look": look})
