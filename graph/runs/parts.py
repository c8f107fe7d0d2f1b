"""The run folders that a path stands for: itself, or the iterations of `iterate`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyprefer.core.errors import RunFolderError
from anyprefer.graph.runs.identity import RUN, SETTINGS, holds_run

_ITERATION = re.compile(r"iteration-(\d+)")


@dataclass(frozen=True)
class RunPart:
    """One run folder of those that were named."""

    folder: Path
    source: str
    """The name of the folder that was given, with a number where two have the same."""
    iteration: int
    """From 1; 1 for a run of its own."""

    @property
    def note(self) -> dict[str, Any]:
        """What `run.json` says; empty where the run was killed before it said anything."""
        return _json(self.folder / RUN)

    @property
    def settings(self) -> dict[str, Any]:
        """What `settings.json` says."""
        return _json(self.folder / SETTINGS)


def run_parts(paths: Sequence[str | Path]) -> list[RunPart]:
    """The run folders of each path in order, iterations by number. Raises `RunFolderError` for a path without any."""
    names: dict[Path, str] = {}
    for path in (Path(path).resolve() for path in paths):
        like = sum(other.name == path.name for other in names if other != path)
        names.setdefault(path, f"{path.name}-{like + 1}" if like else path.name)
    return [part for path, name in names.items() for part in _of(path, name)]


def _of(path: Path, name: str) -> list[RunPart]:
    if holds_run(path):
        return [RunPart(path, name, 1)]
    numbered = [(int(found[1]), one) for one in path.glob("iteration-*") if (found := _ITERATION.fullmatch(one.name))]
    parts = [RunPart(one / "pairs", name, number) for number, one in sorted(numbered) if holds_run(one / "pairs")]
    if not parts:
        raise RunFolderError(
            f"{path} is no run folder and holds no iterations; name a folder that synth or iterate made"
        )
    return parts


def _json(file: Path) -> dict[str, Any]:
    try:
        read = json.loads(file.read_bytes()) if file.exists() else {}
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{file} cannot be read: {error}") from error
    if not isinstance(read, dict):
        raise RunFolderError(f"{file} does not say what the run was: it is no JSON object")
    return read
