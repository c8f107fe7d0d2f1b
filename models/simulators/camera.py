"""A pinhole camera: from points in the world to pixels and, with depth, back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """Where a camera is and what it sees. The axes are OpenCV's: x right, y down, z along the view."""

    position: Array
    """(3,) metres in the robot's base frame."""
    rotation: Array
    """(3, 3) from the camera's axes to the base frame's: its columns are right, down and forward."""
    focal: float
    """Pixels."""
    width: int
    height: int

    def project(self, points: Array) -> Array:
        """(n, 3) points in metres → (n, 2) pixels (column, row). Points behind the camera have no meaning."""
        seen = (np.atleast_2d(points) - self.position) @ self.rotation
        return self.focal * seen[:, :2] / seen[:, 2:] + self._middle

    def points(self, pixels: Array, depth: Array) -> Array:
        """(n, 2) pixels with (n,) depth in metres along the view → (n, 3) points in the base frame."""
        ahead = np.asarray(depth, dtype=float)[:, None]
        sideways = (np.atleast_2d(pixels) - self._middle) / self.focal * ahead
        return np.hstack([sideways, ahead]) @ self.rotation.T + self.position

    @property
    def _middle(self) -> Array:
        return np.array([(self.width - 1) / 2, (self.height - 1) / 2])


def looking(position: Array, at: Array, fovy: float, width: int, height: int) -> Camera:
    """The camera at `position` that looks at the point `at`, upright; `fovy` in degrees."""
    forward = (at - position) / np.linalg.norm(at - position)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
    return Camera(position, rotation, height / 2 / np.tan(np.radians(fovy) / 2), width, height)
