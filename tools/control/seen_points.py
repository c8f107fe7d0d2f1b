"""From masks to places: the pixels of an object, with depth and camera, as one point in the scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anyprefer.core.cost_spec import HAND
from anyprefer.core.regions import Region, encoded, regions_data

if TYPE_CHECKING:
    from anyprefer.models.simulators.base import Info, Simulator
    from anyprefer.models.simulators.camera import Camera

FEWEST = 6
"""Pixels of an object below which it is not seen."""


@dataclass(frozen=True)
class Look:
    """What was seen at one state."""

    state: int
    places: Mapping[str, list[float]]
    """By keypoint x, y, z in metres; what is hidden is left out."""
    masks: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    """By object (H, W); at the first state alone."""

    def regions(self) -> dict[str, Any]:
        """The masks as a finding's data hold them."""
        if not self.masks:
            return {}
        height, width = next(iter(self.masks.values())).shape
        found = [Region(name, _box(mask), mask=encoded(mask)) for name, mask in self.masks.items() if mask.any()]
        return regions_data(found, (width, height))


def of_segmentation(state: int, simulator: Simulator, info: Info) -> Look:
    """By the simulator's own masks: an oracle."""
    ids, names = simulator.segmentation()
    masks = {name: ids == number for number, name in names.items() if name in simulator.objects}
    return look_at(state, masks, simulator, info)


def look_at(
    state: int, masks: Mapping[str, NDArray[np.bool_]], simulator: Simulator, info: Info, edges: bool = True
) -> Look:
    """The places of masks by the simulator's depth and true camera; the hand's by the robot's own joints. Without
    `edges` a mask's outermost pixels are left out: in masks that are not exact they may lie on what is behind."""
    depth, camera = simulator.depth(), simulator.camera()
    places = {HAND: list(info["poses"][HAND][:3])}
    for name, mask in masks.items():
        if mask.sum() >= FEWEST:
            places[name] = middle(mask if edges else _within(mask), depth, camera).tolist()
    return Look(state, places, masks if state == 0 else {})


def middle(mask: NDArray[np.bool_], depth: NDArray[np.float32], camera: Camera) -> NDArray[np.float64]:
    """(3,) metres: the middle of the box around the surface that is seen.

    The mean of that surface lies 10 to 18 mm before the centre of a small object, always on the camera's side; the middle
    of its box 0.5 to 8 mm (a spoon, whose bowl counts: 13).
    """
    rows, columns = np.nonzero(mask)
    points = camera.points(np.stack([columns, rows], axis=1).astype(float), depth[rows, columns].astype(float))
    return (points.min(axis=0) + points.max(axis=0)) / 2  # type: ignore[no-any-return]


def _within(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels whose four neighbours belong to it too; all of a mask that has too few of them."""
    padded = np.pad(mask, 1)
    inner = mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return inner if inner.sum() >= FEWEST else mask


def _box(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    rows, columns = np.nonzero(mask)
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)
