"""From a name to a simulator: `mujoco:carrot`, `mujoco:stack@camera`, `mujoco:stack@camera=0.02`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyprefer.core.errors import SettingsError, near
from anyprefer.models.simulators.scene_table import SCENES
from anyprefer.models.simulators.shifts import shift

if TYPE_CHECKING:
    from anyprefer.models.simulators.base import Simulator


def simulator(spec: str, pixels: bool = True) -> Simulator:
    """The simulator called `FAMILY:SCENE` or `FAMILY:SCENE@SHIFT`; without `pixels` it draws only when asked to.

    Raises `SettingsError` for an unknown name, `ModelSetupError` with what to install where something is missing.
    """
    family, _, rest = spec.partition(":")
    name, _, shifted = rest.partition("@")
    if family != "mujoco":
        raise SettingsError(f"no simulator is called {family!r} (in {spec!r}); {near(family, ['mujoco'])}")
    if name not in SCENES:
        raise SettingsError(f"simulator {family} has no scene {name!r} (in {spec!r}); {near(name, SCENES)}")
    conditions = shift(shifted)
    from anyprefer.models.simulators.mujoco_scenes import MujocoSimulator

    return MujocoSimulator(SCENES[name], conditions, pixels)
