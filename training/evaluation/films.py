"""Videos of trajectories, drawn by playing their actions again: what was recorded needs no frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from anyprefer.core.task import Task
from anyprefer.core.trajectories import Trajectory
from anyprefer.core.videos import Frame, read_video, write_video
from anyprefer.models.simulators.base import HERTZ
from anyprefer.models.simulators.by_name import simulator


def frames_of(task: Task, walk: Trajectory) -> Iterator[Frame]:
    """(168, 224, 3) for each state: those of its video, where it has one, else those that its actions lead to again."""
    if walk.frames:
        yield from read_video(Path(walk.frames))
        return
    played = simulator(task.start["simulator"])
    try:
        yield played.reset(seed=task.start["seed"])[0]["pixels"]
        for action in walk.actions:
            yield played.step(action)[0]["pixels"]
    finally:
        played.close()


def film(task: Task, walk: Trajectory, stem: Path) -> Path:
    """STEM.mp4, or .gif."""
    return write_video(frames_of(task, walk), stem, HERTZ)
