"""`trajectories/`: pairs of what a policy did, as a LeRobotDataset where there are frames (`lerobot.py`), else one a row
with states and actions as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anyprefer.core.errors import InputError, ToolFailure
from anyprefer.core.trajectories import Trajectory
from anyprefer.training.export.exported_pair import ExportedPair
from anyprefer.training.export.tables import SCORES, Description, scores, value, write_table

TRAJECTORY_COLUMNS: Description = {
    **{name: value("string") for name in ("id", "source", "instruction", "chosen", "rejected", "chosen_model", "judge")},
    "iteration": value("int64"), "reward": value("float64"), **SCORES,
}  # fmt: skip
"""`chosen` and `rejected` are JSON texts: `{"states": [[…], …], "actions": [[…], …]}` and what else a policy recorded."""


def trajectory_row(one: ExportedPair) -> dict[str, Any]:
    """One pair."""
    return {
        "id": one.id, "source": one.source, "iteration": one.iteration, "instruction": one.asked,
        "chosen": json.dumps(one.chosen), "rejected": json.dumps(one.rejected), "reward": one.reward,
        "chosen_model": one.chosen_model, "judge": one.judge, **scores(one),
    }  # fmt: skip


def write_trajectories(folder: Path, pairs: Sequence[ExportedPair]) -> tuple[Description, str]:
    """Writes `preferences.parquet` and, where it can, the episodes; returns its columns and what the card has to say."""
    import shutil

    from pyarrow import parquet

    from anyprefer.training.export.lerobot import PREFERENCES, lerobot_export

    try:
        lerobot_export([_lerobot(one) for one in pairs], folder)
        schema = parquet.read_schema(folder / PREFERENCES)
        return {
            name: value(_DTYPES.get(str(kind), "string")) for name, kind in zip(schema.names, schema.types, strict=True)
        }, ""
    except (InputError, ToolFailure) as error:
        shutil.rmtree(folder, ignore_errors=True)
        write_table(folder / PREFERENCES, TRAJECTORY_COLUMNS, map(trajectory_row, pairs))
        return TRAJECTORY_COLUMNS, f"Trajectories are JSON in `trajectories/{PREFERENCES}`, no LeRobotDataset: {error}"


_DTYPES = {"int64": "int64", "double": "float64", "bool": "bool"}


def _lerobot(one: ExportedPair) -> Any:
    from anyprefer.training.export.lerobot import TrajectoryPair, costs_told

    if one.task is None:
        raise InputError(f"pair {one.id} has no task")
    told = {"iteration": one.iteration, "source": one.source, "reward": one.reward, "judge": one.judge, **scores(one)}
    for name, analysis in zip(("chosen", "rejected"), one.analyses, strict=True):
        told |= {f"{name}_{part}": cost for part, cost in costs_told(analysis).items()}
    return TrajectoryPair(one.id, one.task, Trajectory.of(one.chosen), Trajectory.of(one.rejected), told)
