"""Where a scene's keypoints were at each state of a trajectory, as arrays, and when the hand held one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyprefer.core.cost_spec import HAND
from anyprefer.core.errors import InputError

Track = NDArray[np.float64]
"""(T + 1, 3), metres."""
Flags = NDArray[np.bool_]
"""(T + 1,)."""
LIFT = 0.015
"""Metres above where it began from which on an object counts as lifted (GRAPE and SIMPLER: 1 to 3 cm)."""
REACH = 0.07
"""Metres from the hand within which an object can be held."""
LONGEST, MOST = 5000, 64
"""States of a trajectory, and keypoints of a scene."""


@dataclass(frozen=True)
class Tracks:
    """The keypoints of one trajectory by name, `hand` among them."""

    points: Mapping[str, Track]
    grasped: Flags | None = None
    """Where the gripper feels that it holds something; None where that is to be told from the keypoints."""

    @classmethod
    def of(cls, data: Any) -> Tracks:
        """Of a finding's data: `{"keypoints": {NAME: [[x, y, z] or null, …]}, "grasped": [true, …]}`. A place that was
        not seen is the one before it, or the first that was.

        Raises `InputError` for tracks of different lengths, without `hand`, never seen, or with what is no number.
        """
        given = data.get("keypoints") if isinstance(data, Mapping) else None
        if not isinstance(given, Mapping) or HAND not in given:
            raise InputError(f"no keypoints with one called {HAND!r}")
        if len(given) > MOST:
            raise InputError(f"{len(given)} keypoints, and a scene has at most {MOST}")
        points = {str(name): _track(str(name), track) for name, track in given.items()}
        lengths = {len(track) for track in points.values()}
        grasped = data.get("grasped")
        if grasped is not None:
            lengths.add(len(grasped) if isinstance(grasped, Sequence) else -1)
        if len(lengths) != 1:
            raise InputError(f"keypoints of different lengths: {', '.join(map(str, sorted(lengths)))} states")
        return cls(points, None if grasped is None else np.array([one is True for one in grasped]))

    @property
    def length(self) -> int:
        """T + 1, the number of states."""
        return len(self.points[HAND])

    def lifted(self, name: str) -> Flags:
        """Where a keypoint is above its first place."""
        track = self.points[name]
        return track[:, 2] > track[0, 2] + LIFT  # type: ignore[no-any-return]

    def held(self, name: str) -> Flags:
        """Where the hand holds it: what the gripper feels, if it is this object; else where it is lifted near the hand."""
        if self.grasped is None:
            return self.near(name) & self.lifted(name)
        return self.grasped if name == self._in_hand else np.zeros(self.length, dtype=bool)

    def near(self, name: str) -> Flags:
        """Where it is within the hand's reach."""
        return self._apart(name) < REACH

    def _apart(self, name: str) -> NDArray[np.float64]:
        return np.linalg.norm(self.points[name] - self.points[HAND], axis=1)  # type: ignore[no-any-return]

    @cached_property
    def _in_hand(self) -> str:
        """What is nearest to the hand when the gripper first holds something; "" where it never does."""
        if self.grasped is None or not self.grasped.any():
            return ""
        first = int(self.grasped.argmax())
        return min(
            (name for name in self.points if name != HAND), key=lambda name: self._apart(name)[first], default=""
        )


def _track(name: str, given: Any) -> Track:
    if not isinstance(given, Sequence) or isinstance(given, str) or not 0 < len(given) <= LONGEST:
        raise InputError(f"keypoint {name!r} has no track of 1 to {LONGEST} states")
    seen = [None if point is None else _point(name, point) for point in given]
    last = next((point for point in seen if point is not None), None)
    if last is None:
        raise InputError(f"keypoint {name!r} was never seen")
    filled = []
    for point in seen:
        last = last if point is None else point
        filled.append(last)
    return np.array(filled, dtype=float)


def _point(name: str, given: Any) -> tuple[float, ...]:
    if not (isinstance(given, Sequence) and len(given) == 3 and all(map(_metres, given))):
        raise InputError(f"keypoint {name!r} has what is no place of three numbers in metres")
    return tuple(map(float, given))


def _metres(given: Any) -> bool:
    return type(given) in (int, float) and abs(given) < 1e3  # which no NaN is
