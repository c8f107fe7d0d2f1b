"""What can be built by name: `scenes`, `scenes-1`, …, `radiology`, …, `scene_detector`, `radiology_index` and `policy`. Kept in the cache, built once.

ensure("scenes-1")
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from anyprefer.core.errors import ModelSetupError, near
from anyprefer.core.settings import Settings
from anyprefer.models.local.built import DETECTOR, INDEX, POLICY, RADIOLOGY, SCENES, cached, is_built, seed_of

_USED_BY = {
    DETECTOR: {"scene_detector", "scene_objects"},
    INDEX: {"modality_probe", "organ_probe", "radiology_neighbours"},
}
"""By what is built for tools, those that use it."""
_KEPT = ("config.json", "policy.safetensors")
"""What says that a folder holds a model."""


def ensure(name: str, steps: int | None = None, folder: Path | None = None) -> Path:
    """The folder of a model that is built here, built now where it is not there yet. A build that is broken off leaves
    nothing.

    `steps`: fewer than its own make a toy, for tests; `folder`: where it goes in place of the cache. Raises
    `ModelSetupError` for an unknown name, a package that is missing and a folder that cannot be written.
    """
    check(name)
    target = folder or cached(name)
    if not any((target / kept).is_file() for kept in _KEPT):
        _build(_builder(name, steps), target)
    return target


def missing(settings: Settings) -> list[str]:
    """The models that a run with these settings plays with, are built here, and are not there yet."""
    played = [settings.target, settings.judge, settings.reward, settings.engine]
    looks = [name for name, tools in _USED_BY.items() if tools & {*settings.tools}]
    needed = dict.fromkeys([name for name in played if is_built(name)] + looks)
    return [name for name in needed if not (cached(name) / "config.json").is_file()]


def check(name: str) -> None:
    """Raises `ModelSetupError` for a name that nothing is built by."""
    if not (is_built(name) or name == POLICY or name in _USED_BY):
        raise ModelSetupError(
            f"{name!r} is not built here; {near(name, (SCENES, f'{SCENES}-1', RADIOLOGY, POLICY, *_USED_BY))}"
        )


class _Built(Protocol):
    """A trained model."""

    def save(self, folder: Path) -> object:
        """Into a new folder."""


def _builder(name: str, steps: int | None) -> Callable[[], _Built]:
    if name == DETECTOR:
        from anyprefer.training.bases.scene_detector import STEPS as DETECTOR_STEPS
        from anyprefer.training.bases.scene_detector import build_detector

        return lambda: build_detector(steps or DETECTOR_STEPS)
    if name == INDEX:
        from anyprefer.training.bases.radiology_index import STEPS as INDEX_STEPS
        from anyprefer.training.bases.radiology_index import build_index

        return lambda: build_index(steps or INDEX_STEPS)
    if name == POLICY:
        from anyprefer.training.bases.small_policy import STEPS as POLICY_STEPS
        from anyprefer.training.bases.small_policy import build_policy

        return lambda: build_policy(steps or POLICY_STEPS)
    if name.startswith(RADIOLOGY):
        from anyprefer.training.bases.radiology import STEPS as RADIOLOGY_STEPS
        from anyprefer.training.bases.radiology import build_radiology

        return lambda: build_radiology(seed_of(name), steps or RADIOLOGY_STEPS)
    from anyprefer.training.bases.scenes import STEPS, build_scenes

    return lambda: build_scenes(seed_of(name), steps or STEPS)


def _build(build: Callable[[], _Built], target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        built = build()  # in memory: broken off, it leaves nothing
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as made:
            built.save(Path(made) / "model")
            _move(Path(made) / "model", target)
    except OSError as error:
        raise ModelSetupError(
            f"cannot write {target}: {error}; name another folder, or set ANYPREFER_CACHE to one"
        ) from error


def _move(made: Path, target: Path) -> None:
    try:
        os.replace(made, target)
    except OSError:
        if not any((target / kept).is_file() for kept in _KEPT):
            raise
        shutil.rmtree(made, ignore_errors=True)  # another process was faster
