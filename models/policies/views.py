"""What the small policy looks at: the whole scene, small, and a crop at full size around where it believes its hand is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from anyprefer.models.policies.base import Floats

Pixels = NDArray[np.uint8]
SCENE = (48, 64)
"""Rows and columns of the scene."""
CROP = 48
"""Side of the crop."""
_DOWN = 8
"""Pixels that the crop lies lower than the pinch point: what is to be grasped is under it."""


class Projects(Protocol):
    """A camera as `models/simulators/camera.py` has it."""

    def project(self, points: Floats) -> Floats:
        """Points (n, 3) in metres to pixels (n, 2), column and row."""
        ...


def scene(pixels: Pixels) -> Pixels:
    """(H, W, 3) to (48, 64, 3): the mean over the pixels that fall into each."""
    from PIL import Image

    small = Image.fromarray(pixels).resize(SCENE[::-1], Image.Resampling.BOX)
    return np.asarray(small, dtype=np.uint8)


def crop(pixels: Pixels, camera: Projects, pinch: Floats) -> Pixels:
    """(48, 48, 3) around the pinch point's pixel; moved in where it would leave the picture."""
    height, width = pixels.shape[:2]
    column, row = camera.project(np.asarray(pinch, dtype=float)[None])[0]
    top = int(np.clip(round(row) + _DOWN - CROP // 2, 0, height - CROP))
    left = int(np.clip(round(column) - CROP // 2, 0, width - CROP))
    return np.ascontiguousarray(pixels[top : top + CROP, left : left + CROP])
