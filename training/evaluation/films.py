"""Videos of trajectories, drawn by playing their actions again: what was recorded needs no frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anyprefer.core.task import Task
from anyprefer.core.trajectories import Trajectory
from anyprefer.core.videos import Frame, read_video, write_video
from anyprefer.models.simulators.scene_table import HERTZ
from anyprefer.tools.control.replay import replayed

if TYPE_CHECKING:
    from anyprefer.models.simulators.base import Info, Simulator


def frames_of(task: Task, walk: Trajectory) -> list[Frame]:
    """(height, width, 3) for each state: of its video, where it has one, else of its actions, played again from the task's
    start. Raises `ToolFailure` for a task without a simulator, and where the replay ends elsewhere."""
    return list(read_video(Path(walk.frames))) if walk.frames else replayed(task, walk, _picture, 1)


def film(task: Task, walk: Trajectory, stem: Path) -> Path:
    """STEM.mp4, or .gif."""
    return write_video(frames_of(task, walk), stem, HERTZ)


def _picture(state: int, simulator: Simulator, info: Info) -> Frame:
    drawn: Any = simulator.render()
    return np.array(drawn, dtype=np.uint8)
