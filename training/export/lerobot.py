"""Pairs of trajectories as a LeRobotDataset v3.0, and which of its episodes were preferred to which.

| file | holds |
|---|---|
| `meta/info.json`, `meta/stats.json`, `meta/tasks.parquet` | features, their statistics, the instructions |
| `meta/episodes/chunk-000/file-000.parquet` | where each episode's frames and video are |
| `data/chunk-000/file-000.parquet` | a frame a row: state, action, time, and how the episode ended |
| `videos/observation.images.front/chunk-000/file-000.mp4` | an episode's pictures; file and episode have one number |
| `preferences.parquet` | a pair a row: two episodes of one start state, their scores and costs |

LeRobot has no notion of a pair, so the last file is ours. The spec is LeRobot's code (0.6.1, `lerobot/datasets`); the files
are written by PyArrow and PyAV alone, since LeRobot needs other versions of torch and datasets than we do. A trajectory
that is in several pairs is one episode. Frame t has s_t, its picture and a_t; what s_T looks like is not kept there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anyprefer.core.disk import write_json
from anyprefer.core.errors import InputError
from anyprefer.core.task import Task
from anyprefer.core.trajectories import Trajectory
from anyprefer.core.values import stable_hash
from anyprefer.core.videos import Frame, has_av1, write_video
from anyprefer.models.simulators.scene_table import HERTZ
from anyprefer.training.evaluation.films import frames_of
from anyprefer.training.export.lerobot_tables import CHUNK, PICTURE, Statistics, episode_row, frame_schema, info

PREFERENCES = "preferences.parquet"


@dataclass(frozen=True)
class TrajectoryPair:
    """Two trajectories from one start state."""

    id: str
    task: Task
    chosen: Trajectory
    rejected: Trajectory
    told: Mapping[str, Any]
    """Further columns of `preferences.parquet`: numbers, texts and None, the same names in all pairs."""


def lerobot_export(pairs: Sequence[TrajectoryPair], folder: Path, robot: str = "widowx") -> int:
    """Writes the data set into an empty folder and returns how many episodes it has.

    Raises `InputError` where there are no pairs or no encoder, for trajectories whose states or actions are not all of one
    length, and `ToolFailure` for one whose frames cannot be drawn.
    """
    if not pairs:
        raise InputError("there are no pairs of trajectories to export")
    if not has_av1():
        raise InputError("LeRobot's videos need PyAV with AV1: pip install 'anyprefer[control]'")
    made = _Episodes(folder)
    numbers = [[made.number(one.task, walk) for walk in (one.chosen, one.rejected)] for one in pairs]
    made.finish(robot)
    _write(folder / PREFERENCES, [_preference(one, *two) for one, two in zip(pairs, numbers, strict=True)])
    return len(made.episodes)


def _preference(one: TrajectoryPair, chosen: int, rejected: int) -> dict[str, Any]:
    start = one.task.start if isinstance(one.task.start, Mapping) else {}
    return {
        "chosen_episode": chosen, "rejected_episode": rejected, "id": one.id, "instruction": one.task.question,
        "simulator": start.get("simulator"), "start_seed": start.get("seed"),
        "chosen_success": one.chosen.success, "rejected_success": one.rejected.success, **one.told,
    }  # fmt: skip


class _Episodes:
    """Episodes as they are written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.episodes: list[dict[str, Any]] = []
        self.rows: list[dict[str, Any]] = []
        self.instructions: dict[str, int] = {}
        self.statistics = Statistics()
        self._known: dict[str, int] = {}
        self._shape: tuple[int, int] | None = None
        self._picture: tuple[int, ...] = ()

    def number(self, task: Task, walk: Trajectory) -> int:
        """The episode of a trajectory, written where it is new."""
        key = stable_hash([task.start, walk.states, walk.actions])
        if key not in self._known:
            self._known[key] = len(self.episodes)
            self._add(walk.instruction or task.question, walk, frames_of(task, walk))
        return self._known[key]

    def finish(self, robot: str) -> None:
        """Writes what is about all episodes."""
        shape = self._shape or (0, 0)
        _write(self.folder / "data" / CHUNK.format(0, 0, "parquet"), self.rows, frame_schema(*shape))
        _write(self.folder / "meta" / "episodes" / CHUNK.format(0, 0, "parquet"), self.episodes)
        _write_tasks(self.folder / "meta" / "tasks.parquet", self.instructions)
        totals = len(self.episodes), len(self.rows), len(self.instructions)
        write_json(self.folder / "meta" / "info.json", info(robot, totals, shape, self._picture))
        write_json(self.folder / "meta" / "stats.json", self.statistics.told())

    def _add(self, instruction: str, walk: Trajectory, frames: Sequence[Frame]) -> None:
        number, steps = len(self.episodes), len(walk.actions)
        shape = len(walk.states[0]), len(walk.actions[0])
        self._shape, self._picture = self._shape or shape, self._picture or frames[0].shape
        if shape != self._shape or frames[0].shape != self._picture:
            raise InputError(f"trajectories of states and actions {self._shape} and {shape} are no one data set")
        place = self.folder / "videos" / PICTURE / CHUNK.format(number // 1000, number % 1000, "mp4")
        write_video(frames[:steps], place.with_suffix(""), HERTZ)
        task = self.instructions.setdefault(instruction, len(self.instructions))
        self.episodes.append(episode_row(number, instruction, len(self.rows), steps))
        self.rows += [_frame(walk, at, number, task, len(self.rows) + at) for at in range(steps)]
        self.statistics.add(self.rows[-steps:], frames[:steps])


def _frame(walk: Trajectory, at: int, episode: int, task: int, index: int) -> dict[str, Any]:
    last = at + 1 == len(walk.actions)
    return {
        "observation.state": np.array(walk.states[at], np.float32), "action": np.array(walk.actions[at], np.float32),
        "timestamp": np.float32(at / HERTZ), "frame_index": at, "episode_index": episode, "index": index,
        "task_index": task, "next.done": last, "next.success": bool(last and walk.success),
    }  # fmt: skip


def _write(file: Path, rows: Sequence[Mapping[str, Any]], schema: Any = None) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(arrow.Table.from_pylist(list(rows), schema=schema), file)


def _write_tasks(file: Path, instructions: Mapping[str, int]) -> None:
    """With the instructions as pandas' index, by which LeRobot looks them up."""
    import pandas as pd

    index = pd.Index(list(instructions), name="task")
    pd.DataFrame({"task_index": list(instructions.values())}, index=index).to_parquet(file)


def costs_told(analysis: str) -> dict[str, Any]:
    """The parts of a judgment by the judge `costs`, as columns; None where another judge wrote it."""
    try:
        told = json.loads(analysis)
        parts, costs = dict(told.get("parts") or {}), told.get("costs")
    except (ValueError, TypeError, AttributeError):
        parts, costs = {}, None
    known = {name: parts.get(name) for name in ("costs", "success", "likelihood")}
    return {**known, "stages": None if costs is None else json.dumps(costs)}
