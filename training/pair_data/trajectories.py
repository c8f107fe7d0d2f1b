"""Pairs of trajectories, for trainers of policies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anyprefer.core.errors import InputError, TrainingError
from anyprefer.core.trajectories import Trajectory
from anyprefer.training.pair_data.preference_rows import columns_of, preference_file
from anyprefer.training.pair_data.read import pair_files

Pairs = list[tuple[Trajectory, Trajectory]]
"""(chosen, rejected), in order."""


def trajectory_files(*paths: Path) -> list[tuple[Path, Pairs]]:
    """The pairs of run folders and pair files, by file.

    Raises `TrainingError` naming file and line for a row whose answers are no trajectories, and where there are no pairs.
    """
    found = [(file, [_pair(where, row) for where, row in preference_file(file)]) for file in pair_files(*paths)]
    if not any(pairs for _, pairs in found):
        raise TrainingError(f"{', '.join(map(str, paths))} holds no pairs; play more tasks")
    return found


def trajectory_pairs(*paths: Path) -> Pairs:
    """The same, of all files together."""
    return [pair for _, pairs in trajectory_files(*paths) for pair in pairs]


def _pair(where: str, row: dict[str, Any]) -> tuple[Trajectory, Trajectory]:
    try:
        given = columns_of(where, row)
        return Trajectory.of(given.get("chosen")), Trajectory.of(given.get("rejected"))
    except InputError as error:
        raise TrainingError(f"{where}: {error}") from error
