"""A trajectory as the page shows it: its path from above, what it cost over time, and frames of what was seen."""

from __future__ import annotations

import io
import logging
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyprefer.core.errors import AnypreferError, InputError
from anyprefer.core.task import Task
from anyprefer.core.trajectories import Trajectory

if TYPE_CHECKING:
    from anyprefer.core.costs import Costs

MOST_STATES = 200
MOST_FRAMES = 8
"""Frames of a strip, evenly spaced over the episode, first and last among them."""
LONGEST = 2_000
"""Frames of a video that are read."""
SIDE = 160
"""Pixels of a frame's longer side, at most."""
_HAND = "hand"
_log = logging.getLogger("anyprefer")


def filmstrip(content: Any, costs: Costs | None = None) -> dict[str, Any] | None:
    """What the page draws of a candidate's content; None where it is no trajectory.

    `told` is it in words. `tracks` are points [x, y] by what moves: the hand and each recorded object, else the first two
    numbers of every state. `costs` are points [state, cost] by stage. `frames` are for `Films` to fill in.
    """
    try:
        trajectory = Trajectory.of(content)
    except InputError:
        return None
    return {
        "told": _told(trajectory),
        "tracks": {name: _track(points) for name, points in _moving(trajectory).items()},
        "costs": _over_time(costs) if costs else {},
        "frames": [],
    }


class Films:
    """Frames of trajectories, of the first `most`: those of a recorded video, else of playing the actions again."""

    def __init__(self, most: int) -> None:
        self._left = most

    def of(self, content: Any, task: Task | None, roots: Sequence[Path]) -> list[str]:
        """`data:` URLs of a trajectory's frames; none where there is neither a video in `roots` nor a simulator."""
        if self._left <= 0:
            return []
        self._left -= 1
        try:
            seen = list(islice(_seen(Trajectory.of(content), task, roots), LONGEST))
        except (AnypreferError, ImportError, OSError, ValueError, LookupError, TypeError) as error:
            _log.warning("%s: no frames of a trajectory: %s", task.id if task else "", error)
            return []
        return [_small(frame) for frame in evenly(seen, MOST_FRAMES)]


def evenly(values: Sequence[Any], most: int) -> list[Any]:
    """At most so many of the values, evenly spaced, first and last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]


def _seen(walk: Trajectory, task: Task | None, roots: Sequence[Path]) -> Iterator[Any]:
    """Its frames, (H, W, 3) each."""
    from anyprefer.core.videos import read_video

    if walk.frames:
        if file := _within(walk.frames, roots):
            yield from read_video(file)
    elif task and isinstance(task.start, dict) and "simulator" in task.start:
        from anyprefer.training.evaluation.films import frames_of

        yield from frames_of(task, walk)


def _within(name: str, roots: Sequence[Path]) -> Path | None:
    """The video, where it lies in one of the folders, links resolved."""
    files = [(root / name).resolve() for root in roots]
    return next((one for one in files if one.is_file() and any(one.is_relative_to(r.resolve()) for r in roots)), None)


def _told(one: Trajectory) -> str:
    ended = {True: ", success", False: ", no success", None: ""}[one.success]
    held = f", holds the object in {sum(one.grasped)} of {len(one.grasped)} states" if any(one.grasped) else ""
    return f"{one.instruction + ': ' if one.instruction else ''}a trajectory of {len(one.actions)} steps{ended}{held}"


def _moving(one: Trajectory) -> Mapping[str, Sequence[Sequence[float]]]:
    if one.poses:
        return dict(sorted(one.poses.items(), key=lambda item: item[0] != _HAND))
    return {"state": one.states} if len(one.states[0]) > 1 else {}


def _track(points: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[_short(number) for number in point[:2]] for point in evenly(points, MOST_STATES)]


def _over_time(costs: Costs) -> dict[str, list[list[float]]]:
    """By stage, over its own states."""
    found = {}
    for stage in costs.stages:
        values = [sum(float(term.over_time[at]) for term in stage.terms) for at in range(*stage.span)]
        points = [[at, _short(value)] for at, value in enumerate(values, stage.span[0]) if value == value]
        if points:
            found[f"{stage.name} ({stage.cost:.2f})"] = evenly(points, MOST_STATES)
    return found


def _small(frame: Any) -> str:
    from PIL import Image

    picture, made = Image.fromarray(frame), io.BytesIO()
    picture.thumbnail((SIDE, SIDE))
    picture.save(made, format="WEBP", quality=70)
    return f"data:image/webp;base64,{b64encode(made.getvalue()).decode()}"


def _short(value: float) -> float:
    return float(f"{value:.4g}")
