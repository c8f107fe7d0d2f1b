"""Models that `anyprefer build` makes on this machine and keeps in the cache: `scenes`, `scenes-1`, …, `radiology`,
…, `scene_detector`, `radiology_index`, `policy`."""

from __future__ import annotations

import re
from pathlib import Path

from anyprefer.core.data_folder import cache_folder
from anyprefer.core.errors import ModelSetupError

SCENES = "scenes"
"""The embedded target that sees; `scenes-1` is another seed's, trained from scratch like it."""
DETECTOR = "scene_detector"
RADIOLOGY = "radiology"
"""The embedded target of medicine, by seed too."""
INDEX = "radiology_index"
"""What its tools know."""
POLICY = "policy"
"""The embedded target of visuo-motor control; it ships, and this is what it was built by."""
_TARGET = re.compile(rf"({SCENES}|{RADIOLOGY})(?:-(\d{{1,6}}))?")


def is_built(spec: str) -> bool:
    """Whether a string names a target that is built here."""
    return _TARGET.fullmatch(spec) is not None


def seed_of(spec: str) -> int:
    """The seed of a target that is built here; 0 for `scenes`."""
    found = _TARGET.fullmatch(spec)
    return int(found[2] or 0) if found else 0


def cached(name: str) -> Path:
    """Where the model of this name is kept, or would be."""
    found = _TARGET.fullmatch(name)
    return cache_folder() / (f"{found[1]}-{seed_of(name)}" if found else name)


def built_folder(name: str) -> Path:
    """The folder of a model that was built. Raises `ModelSetupError`, naming the command, where it was not yet."""
    folder = cached(name)
    if not (folder / "config.json").is_file():
        raise ModelSetupError(f"{name} is not built on this machine yet; build it with: anyprefer build {name}")
    return folder
