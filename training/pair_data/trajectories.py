"""Pairs of trajectories, for trainers of policies."""

from __future__ import annotations

from pathlib import Path

from anyprefer.core.errors import InputError, TrainingError
from anyprefer.core.trajectories import Trajectory
from anyprefer.training.pair_data.preference_rows import columns_of, preference_file
from anyprefer.training.pair_data.read import pair_files


def trajectory_pairs(*paths: Path) -> list[tuple[Trajectory, Trajectory]]:
    """(chosen, rejected) of all pairs of run folders and pair files, in order.

    Raises `TrainingError` naming file and line for a row whose answers are no trajectories, and where there are no pairs.
    """
    pairs = []
    for where, row in (located for file in pair_files(*paths) for located in preference_file(file)):
        try:
            given = columns_of(where, row)
            pairs.append((Trajectory.of(given.get("chosen")), Trajectory.of(given.get("rejected"))))
        except InputError as error:
            raise TrainingError(f"{where}: {error}") from error
    if not pairs:
        raise TrainingError(f"{', '.join(map(str, paths))} holds no pairs; play more tasks")
    return pairs
