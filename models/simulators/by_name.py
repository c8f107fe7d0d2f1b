"""From a name to a simulator: `mujoco:carrot`, `mujoco:stack@camera`, `mujoco:stack@camera=0.02`, `simpler:carrot`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyprefer.core.errors import SettingsError, near
from anyprefer.models.simulators.scene_table import SCENES, Scene
from anyprefer.models.simulators.shifts import shift
from anyprefer.models.simulators.simpler_table import SIMPLER_TASKS

if TYPE_CHECKING:
    from anyprefer.models.simulators.base import Simulator

FAMILIES = {"mujoco": SCENES, "simpler": {name: task.scene for name, task in SIMPLER_TASKS.items()}}


def simulator(spec: str, pixels: bool = True) -> Simulator:
    """The simulator called `FAMILY:SCENE` or `FAMILY:SCENE@SHIFT`; without `pixels` it draws only when asked to.

    Raises `SettingsError` for an unknown name, `ModelSetupError` with what to install where something is missing.
    """
    family, name, shifted = parts(spec)
    if family == "simpler":
        if shifted:
            raise SettingsError(f"SIMPLER's scenes have no shifts ({spec!r}); write {family}:{name}")
        from anyprefer.models.simulators.simpler import SimplerSimulator

        return SimplerSimulator(SIMPLER_TASKS[name], pixels)
    conditions = shift(shifted)
    from anyprefer.models.simulators.mujoco_scenes import MujocoSimulator

    return MujocoSimulator(SCENES[name], conditions, pixels)


def scene_named(spec: str) -> Scene:
    """The objects and words of a simulator's task. Raises `SettingsError` for an unknown name."""
    family, name, _ = parts(spec)
    return FAMILIES[family][name]


def parts(spec: str) -> tuple[str, str, str]:
    """Family, scene and shift of a name. Raises `SettingsError` for a family or a scene that is not there."""
    family, _, rest = spec.partition(":")
    name, _, shifted = rest.partition("@")
    if family not in FAMILIES:
        raise SettingsError(f"no simulator is called {family!r} (in {spec!r}); {near(family, FAMILIES)}")
    if name not in FAMILIES[family]:
        raise SettingsError(f"simulator {family} has no scene {name!r} (in {spec!r}); {near(name, FAMILIES[family])}")
    return family, name, shifted
