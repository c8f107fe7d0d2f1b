"""Keypoints of a trajectory by Grounded SAM 2: Grounding DINO (arXiv 2303.05499) finds what is named in the simulator's
pictures, SAM 2 (arXiv 2408.00714) marks its pixels, depth and camera make places of them (§3.1, A.5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from anyprefer.core.records import Candidate
from anyprefer.core.regions import decoded
from anyprefer.core.task import Task
from anyprefer.core.trajectories import Trajectory
from anyprefer.core.values import derive_seed
from anyprefer.tools.base import Finding, ToolFailure, tool
from anyprefer.tools.control.keypoints import EVERY, placed, tracked
from anyprefer.tools.control.replay import replayed
from anyprefer.tools.control.seen_points import Look, look_at
from anyprefer.tools.vision.grounded_segmentation import MODEL, GroundedSam, phrases_of
from anyprefer.tools.vision.looks import loaded_once

if TYPE_CHECKING:
    from anyprefer.models.simulators.base import Info, Simulator

SEGMENTER = "facebook/sam2.1-hiera-small"
_UNNAMEABLE = re.compile(r"[^a-z0-9 _.-]")


@tool(alone=True)
def grounded_keypoints(
    task: Task,
    candidate: Candidate,
    query: str,
    *,
    model: str = MODEL,
    segmenter: str = SEGMENTER,
    device: str = "",
    dtype: str = "",
    every: int = EVERY,
    noise: float = 0.0,
    seed: int = 0,
) -> Finding:
    """Looks in the pictures of a trajectory for the things named in the query, separated by commas, and tracks them and the
    robot's hand. Without a query it looks for the objects of the scene."""
    trajectory, sam = Trajectory.of(candidate.content), _loaded(model, segmenter, device, dtype)
    named = [] if query == task.text else [_UNNAMEABLE.sub("", phrase) for phrase in phrases_of(query)]

    def look(state: int, simulator: Simulator, info: Info) -> Look:
        from PIL import Image

        picture: Any = simulator.render()
        found = sam.look(Image.fromarray(picture), *(named or simulator.objects)).regions
        surest = {region.label: decoded(region.mask) for region in reversed(found) if region.mask}
        return look_at(state, surest, simulator, info, edges=False)

    looks = replayed(task, trajectory, look, every)
    if not looks[0].masks:
        raise ToolFailure(f"Grounding DINO finds nothing of {', '.join(named) or 'the scene'} in the first picture")
    return tracked(trajectory, placed(looks, trajectory), noise, derive_seed(seed, task.id), looks[0].regions())


@grounded_keypoints.preparation
def _load(
    *, model: str = MODEL, segmenter: str = SEGMENTER, device: str = "", dtype: str = "",
    every: int = EVERY, noise: float = 0.0, seed: int = 0,
) -> None:  # fmt: skip
    _loaded(model, segmenter, device, dtype)


@loaded_once
def _loaded(model: str, segmenter: str, device: str, dtype: str) -> GroundedSam:
    return GroundedSam.load(model, segmenter, device, dtype)
