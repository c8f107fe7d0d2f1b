"""Frames as a video and back."""

import os

import numpy as np
import pytest

from anyprefer.core import videos
from anyprefer.core.errors import InputError

FRAMES = [np.full((32, 48, 3), (200, 40, 10 * n), dtype=np.uint8) for n in range(7)]


@pytest.mark.parametrize("ending", ["mp4", "gif"])
def test_a_video_holds_every_frame_at_its_time(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(videos, "has_av1", lambda: ending == "mp4")
    file = videos.write_video(FRAMES, tmp_path / "in" / "walk@7000", rate=5)
    assert (file.name, [one.name for one in file.parent.iterdir()]) == (f"walk@7000.{ending}", [file.name])
    read = list(videos.read_video(file))
    assert len(read) == len(FRAMES)
    assert all(np.abs(one.astype(int) - other).mean() < 6 for one, other in zip(read, FRAMES, strict=True))


def test_writing_leaves_the_priority_of_this_process_as_it_is(tmp_path):
    """SVT-AV1 would make it a real-time process where it may, as under root."""
    before = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    videos.write_video(FRAMES, tmp_path / "walk", rate=5)
    assert (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority) == before


def test_no_frames_are_no_video(tmp_path):
    with pytest.raises(InputError, match="no frames"):
        videos.write_video([], tmp_path / "empty", rate=5)
