"""Where the objects of a scene and the robot's hand were at each state of a trajectory, for costs over keypoints.

Two tools, both named as the oracles they are: `keypoints` replays the trajectory and takes the simulator's own masks, with
depth and camera, every few states; `pose_keypoints` takes the poses that were recorded. `grounded_keypoints`
(grounded_keypoints.py) finds the masks itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anyprefer.core.cost_spec import HAND
from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.core.trajectories import Trajectory
from anyprefer.core.values import derive_seed
from anyprefer.tools.base import Finding, ToolFailure, tool

EVERY = 3
"""States from one look to the next: 0.6 s. A look takes 6 ms, and costs change little in between."""
Places = dict[str, list[Any]]
"""By keypoint a place [x, y, z] in metres for each state, or None."""


@tool
def keypoints(task: Task, candidate: Candidate, *, every: int = EVERY, noise: float = 0.0, seed: int = 0) -> Finding:
    """Tracks the objects of the scene and the robot's hand through a trajectory, by the simulator's own segmentation and
    depth."""
    from anyprefer.tools.control.replay import replayed
    from anyprefer.tools.control.seen_points import Look, of_segmentation

    trajectory = Trajectory.of(candidate.content)
    looks: list[Look] = replayed(task, trajectory, of_segmentation, every)
    return tracked(trajectory, placed(looks, trajectory), noise, derive_seed(seed, task.id), looks[0].regions())


@tool
def pose_keypoints(task: Task, candidate: Candidate, *, noise: float = 0.0, seed: int = 0) -> Finding:
    """Tells where the objects of the scene and the robot's hand were all along a trajectory, by the simulator's state."""
    trajectory = Trajectory.of(candidate.content)
    if HAND not in trajectory.poses:
        raise ToolFailure("no poses were recorded with the trajectory")
    places = {name: [list(pose[:3]) for pose in poses] for name, poses in trajectory.poses.items()}
    return tracked(trajectory, places, noise, derive_seed(seed, task.id), {})


def placed(looks: Sequence[Any], trajectory: Trajectory) -> Places:
    """The keypoints of looks at some of the states, None at the others."""
    names = dict.fromkeys(name for look in looks for name in look.places)
    states = len(trajectory.states)
    places: Places = {name: [None] * states for name in names}
    for look in looks:
        for name, place in look.places.items():
            places[name][look.state] = place
    return places


def tracked(trajectory: Trajectory, places: Places, noise: float, seed: int, regions: dict[str, Any]) -> Finding:
    """The finding: places as data (`core/keypoint_tracks.py` reads them), with `noise` mm (standard deviation on each
    axis) on the objects; the hand is known from the robot's own joints."""
    if noise:
        places = _noisy(places, noise / 1000, derive_seed(seed, trajectory.actions))
    told = {name: [None if at is None else [round(x, 4) for x in at] for at in track] for name, track in places.items()}
    data = {"keypoints": told, **({"grasped": list(trajectory.grasped)} if trajectory.grasped else {}), **regions}
    return Finding(_text(trajectory, told), data=data)


def _noisy(places: Places, metres: float, seed: int) -> Places:
    import numpy as np

    rng = np.random.default_rng(seed)
    return {
        name: track
        if name == HAND
        else [None if at is None else (at + rng.normal(0, metres, 3)).tolist() for at in track]
        for name, track in places.items()
    }


def _text(trajectory: Trajectory, told: Places) -> str:
    lines = []
    for name, track in told.items():
        seen = [at for at in track if at is not None]
        lines.append(f"{name} from {_at(seen[0])} to {_at(seen[-1])}" if seen else f"{name} is not seen")
    held = (
        f"; the gripper held it in {sum(trajectory.grasped)} of {len(trajectory.grasped)} states"
        if trajectory.grasped
        else ""
    )
    return f"Keypoints (x, y, z in metres, {len(trajectory.states)} states): {', '.join(lines)}{held}."


def _at(place: Sequence[float]) -> str:
    return "(" + ", ".join(f"{x:.3f}" for x in place) + ")"
