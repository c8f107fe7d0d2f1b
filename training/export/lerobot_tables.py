"""The shapes of LeRobotDataset v3.0's files (lerobot 0.6.1, `lerobot/datasets`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anyprefer.core.videos import CODEC, OPTIONS, PIXELS, Frame
from anyprefer.models.simulators.scene_table import HERTZ

VERSION = "v3.0"
PICTURE = "observation.images.front"
CHUNK = "chunk-{:03d}/file-{:03d}.{}"
STATE = ("x", "y", "z", "yaw", "gap", "gripper", "lag in the plane", "lag upwards")
ACTION = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
SINGLE = {
    "timestamp": "float32", "frame_index": "int64", "episode_index": "int64", "index": "int64", "task_index": "int64",
    "next.done": "bool", "next.success": "bool",
}  # fmt: skip
"""Columns of one number a frame."""
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}


def info(robot: str, totals: tuple[int, int, int], shape: tuple[int, int], picture: Sequence[int]) -> dict[str, Any]:
    """`meta/info.json`; `totals` are episodes, frames and instructions, `shape` lengths of state and action."""
    episodes, frames, tasks = totals
    return {
        "codebase_version": VERSION, "robot_type": robot, "fps": HERTZ,
        "total_episodes": episodes, "total_frames": frames, "total_tasks": tasks,
        "chunks_size": 1000, "data_files_size_in_mb": 100, "video_files_size_in_mb": 200,
        "splits": {"train": f"0:{episodes}"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": _features(shape, picture),
    }  # fmt: skip


def _features(shape: tuple[int, int], picture: Sequence[int]) -> dict[str, Any]:
    height, width = picture[:2]
    video = {
        "video.height": height, "video.width": width, "video.codec": "av1", "video.pix_fmt": PIXELS,
        "video.is_depth_map": False, "video.fps": HERTZ, "video.channels": 3, "has_audio": False,
        "video.vcodec": CODEC, **{f"video.{name}": int(value) for name, value in OPTIONS.items()},
    }  # fmt: skip
    return {
        "observation.state": _vector(shape[0], STATE),
        "action": _vector(shape[1], ACTION),
        PICTURE: {"dtype": "video", "shape": list(picture), "names": ["height", "width", "channels"], "info": video},
        **{name: {"dtype": kind, "shape": [1], "names": None} for name, kind in SINGLE.items()},
    }


def _vector(length: int, names: Sequence[str]) -> dict[str, Any]:
    return {"dtype": "float32", "shape": [length], "names": list(names) if len(names) == length else None}


def frame_schema(state: int, action: int) -> Any:
    """PyArrow's schema of `data/`."""
    import pyarrow as arrow

    kinds = {"float32": arrow.float32(), "int64": arrow.int64(), "bool": arrow.bool_()}
    vectors = {"observation.state": state, "action": action}
    return arrow.schema(
        [(name, arrow.list_(arrow.float32(), length)) for name, length in vectors.items()]
        + [(name, kinds[kind]) for name, kind in SINGLE.items()]
    )


def episode_row(number: int, instruction: str, first: int, steps: int) -> dict[str, Any]:
    """A row of `meta/episodes`: frames `first` to `first + steps` and a video file of its own."""
    video = f"videos/{PICTURE}"
    return {
        "episode_index": number, "tasks": [instruction], "length": steps,
        "dataset_from_index": first, "dataset_to_index": first + steps,
        "data/chunk_index": 0, "data/file_index": 0, "meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0,
        f"{video}/chunk_index": number // 1000, f"{video}/file_index": number % 1000,
        f"{video}/from_timestamp": 0.0, f"{video}/to_timestamp": steps / HERTZ,
    }  # fmt: skip


class Statistics:
    """What normalising needs: of states, actions and times over all frames, of pictures over one in ten, each channel in
    0..1."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Any]] = {name: [] for name in ("observation.state", "action", *SINGLE)}
        self._pixels: list[Any] = []

    def add(self, rows: Sequence[Mapping[str, Any]], frames: Sequence[Frame]) -> None:
        """An episode's."""
        for name, values in self._rows.items():
            values += [row[name] for row in rows]
        self._pixels += [frame[::4, ::4].reshape(-1, 3) for frame in frames[::10]]

    def told(self) -> dict[str, Any]:
        """`meta/stats.json`."""
        columns = {name: np.array(values, dtype=float).reshape(len(values), -1) for name, values in self._rows.items()}
        told = {name: _of(values) for name, values in columns.items()}
        pixels = _of(np.concatenate(self._pixels) / 255)
        pixels["count"] = [len(self._pixels)]
        nested = {key: value if key == "count" else [[[one]] for one in value] for key, value in pixels.items()}
        return {**told, PICTURE: nested}


def _of(values: Any) -> dict[str, list[float]]:
    """Of (n, k) values, by statistic k numbers."""
    found = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
    found |= {name: np.quantile(values, share, axis=0) for name, share in QUANTILES.items()}
    return {**{name: one.tolist() for name, one in found.items()}, "count": [len(values)]}
