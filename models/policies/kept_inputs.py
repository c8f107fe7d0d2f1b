"""What a policy saw, in files: a pair names them, its trainer reads them.

Pixels as they were, not a video, whose compression would change what the policy finds likely. A file is named by its
content and kept in the cache (`ANYPREFER_CACHE`); one episode of the small policy takes some 100 kB.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anyprefer.core.data_folder import cache_folder
from anyprefer.core.errors import InputError
from anyprefer.models.policies.base import Inputs


def keep(steps: Sequence[Inputs]) -> str:
    """Writes the inputs of an episode's actions, and returns the file's path."""
    packed = io.BytesIO()
    stacked: dict[str, Any] = {name: np.stack([step[name] for step in steps]) for name in steps[0]}
    np.savez_compressed(packed, **stacked)
    content = packed.getvalue()
    file = cache_folder() / "rollouts" / f"{hashlib.sha256(content).hexdigest()[:32]}.npz"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as opened:
            opened.write(content)
        os.replace(opened.name, file)
    return str(file)


def kept(file: str, steps: int) -> list[Inputs]:
    """The inputs of `steps` actions. Raises `InputError` for a file that is gone, or holds something else."""
    try:
        with np.load(Path(file), allow_pickle=False) as opened:
            found = {name: opened[name] for name in opened.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"what the policy saw cannot be read from {file!r} ({error}); play these tasks again"
        ) from None
    lengths = {len(one) for one in found.values() if one.ndim}
    if lengths != {steps}:
        raise InputError(f"{file!r} holds inputs of {sorted(lengths)} actions, and the trajectory has {steps}")
    return [{name: values[step] for name, values in found.items()} for step in range(steps)]
