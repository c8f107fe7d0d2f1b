"""A trajectory as the page shows it: its path from above, frames of its video, and what it cost over time."""

from __future__ import annotations

import io
import warnings
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anyprefer.core.errors import InputError
from anyprefer.core.trajectories import Trajectory

MOST_STATES = 200
MOST_FRAMES = 8
"""Frames of a strip, evenly spaced over the episode, first and last among them."""
SIDE = 160
"""Pixels of a frame's longer side, at most."""
_HAND = "hand"


def filmstrip(
    content: Any, roots: Sequence[Path] = (), costs: Mapping[str, Sequence[float]] | None = None
) -> dict[str, Any] | None:
    """What the page draws of a candidate's content; None where it is no trajectory.

    `told` is it in words. `tracks` are points [x, y] by what moves: each recorded object and the hand, else the first two
    numbers of every state. `frames` are `data:` URLs of its video, looked for in `roots`; `costs` has a value a step for
    each stage or term.
    """
    try:
        trajectory = Trajectory.of(content)
    except InputError:
        return None
    return {
        "told": _told(trajectory),
        "steps": len(trajectory.actions),
        "tracks": {name: _track(points) for name, points in _moving(trajectory).items()},
        "frames": _frames(trajectory.frames, roots),
        "costs": {name: [_short(value) for value in evenly(some, MOST_STATES)] for name, some in (costs or {}).items()},
    }


def evenly(values: Sequence[Any], most: int) -> list[Any]:
    """At most so many of the values, evenly spaced, first and last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]


def _told(one: Trajectory) -> str:
    ended = {True: ", success", False: ", no success", None: ""}[one.success]
    held = f", holds the object in {sum(one.grasped)} of {len(one.grasped)} states" if one.grasped else ""
    return f"{one.instruction + ': ' if one.instruction else ''}a trajectory of {len(one.actions)} steps{ended}{held}"


def _moving(one: Trajectory) -> Mapping[str, Sequence[Sequence[float]]]:
    if one.poses:
        return dict(sorted(one.poses.items(), key=lambda item: item[0] != _HAND))
    return {"state": one.states} if len(one.states[0]) > 1 else {}


def _track(points: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[_short(number) for number in point[:2]] for point in evenly(points, MOST_STATES)]


def _frames(name: str, roots: Sequence[Path]) -> list[str]:
    """Of a video that lies in one of the folders; none where there is none that can be read."""
    file = _found(name, roots) if name else None
    if file is None:
        return []
    try:
        import av

        with warnings.catch_warnings(), av.open(str(file)) as video:
            warnings.simplefilter("ignore")
            pictures = [frame.to_image() for frame in video.decode(video=0)]
    except (ImportError, OSError, ValueError, IndexError):  # PyAV's errors are of these kinds
        return []
    return [_small(picture) for picture in evenly(pictures, MOST_FRAMES)]


def _found(name: str, roots: Sequence[Path]) -> Path | None:
    places = [(root / name).resolve() for root in roots]
    return next(
        (file for file in places if file.is_file() and any(file.is_relative_to(root.resolve()) for root in roots)), None
    )


def _small(picture: Any) -> str:
    made = io.BytesIO()
    picture.thumbnail((SIDE, SIDE))
    picture.save(made, format="WEBP", quality=70)
    return f"data:image/webp;base64,{b64encode(made.getvalue()).decode()}"


def _short(value: float) -> float:
    return float(f"{value:.4g}")
