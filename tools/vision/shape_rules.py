"""Coloured shapes on a smooth background, found by rules: no model, nothing learned.

The background is a plane in each colour channel; what is far from it, in one piece, is an object; its colour is the
nearest of eight, and its shape follows from how it fills its hull and the circle around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from anyprefer.core.regions import Region
from anyprefer.core.scene_labels import RGB

if TYPE_CHECKING:
    from PIL.Image import Image

Array = np.ndarray[Any, np.dtype[Any]]
SIDE = 64
"""Pixels of the side at which the rules look; corners of small objects are lost."""
_FAR = 38.0
"""Distance from the background, in RGB, of what is no background."""
_SMALLEST = 12
"""Pixels of an object."""


def coloured_shapes(picture: Image) -> list[Region]:
    """The objects in an RGB picture, as `red circle`, with their boxes in its pixels."""
    from PIL import Image as images

    pixels = np.asarray(picture.resize((SIDE, SIDE), images.Resampling.BILINEAR), np.float64)
    wide, high = picture.width / SIDE, picture.height / SIDE
    found = []
    for mask in _pieces(pixels):
        rows, columns = np.nonzero(mask)
        box = (columns.min() * wide, rows.min() * high, (columns.max() + 1) * wide, (rows.max() + 1) * high)
        label = f"{_colour(pixels, mask)} {_shape(mask)}"
        found.append(Region(label, (float(box[0]), float(box[1]), float(box[2]), float(box[3]))))
    return found


def _pieces(pixels: Array) -> Iterator[Array]:
    """Masks (SIDE, SIDE) of what stands out, each in one piece."""
    from scipy import ndimage

    smooth = ndimage.uniform_filter(pixels, (3, 3, 1))
    away = np.linalg.norm(smooth - _background(smooth), axis=2)
    labels, count = ndimage.label(away > _FAR)
    for number in range(1, count + 1):
        mask = labels == number
        if mask.sum() >= _SMALLEST:
            yield mask


def _background(pixels: Array) -> Array:
    """A plane in each channel, fitted three times, each time without what was far from the one before."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    terms = np.stack([np.ones_like(rows), rows, columns], axis=-1).reshape(-1, 3)
    flat, kept = pixels.reshape(-1, 3), np.ones(SIDE * SIDE, bool)
    for _ in range(4):
        plane = terms @ np.linalg.lstsq(terms[kept], flat[kept], rcond=None)[0]
        away = np.linalg.norm(flat - plane, axis=1)
        kept = away < max(20.0, 1.5 * float(np.median(away)))
    found: Array = plane.reshape(pixels.shape)
    return found


def _colour(pixels: Array, mask: Array) -> str:
    from scipy import ndimage

    inner = ndimage.binary_erosion(mask)
    seen = np.median(pixels[inner if inner.any() else mask], axis=0)
    return min(RGB, key=lambda name: float(np.linalg.norm(seen - RGB[name])))


def _shape(mask: Array) -> str:
    """By how much of its hull, and of the circle around it, the object fills, and whether it looks the same upside down."""
    from scipy import ndimage
    from scipy.spatial import ConvexHull

    filled = ndimage.binary_fill_holes(mask)
    if mask.sum() < 0.87 * filled.sum():
        return "ring"
    points = np.argwhere(filled).astype(float)
    hull = ConvexHull(points)
    solid = len(points) / (hull.volume + hull.area / 2 + 1)  # pixels in the hull: Pick's theorem
    round_ = len(points) / (np.pi * float(((points - points.mean(0)) ** 2).sum(1).max()))
    alike = _alike(points)
    if solid < 0.86:
        return "cross" if alike > 0.82 else "star"
    if alike > 0.85:
        return "circle" if round_ > 0.86 else "square" if round_ > 0.6 else "diamond"
    return "heart" if round_ > 0.61 else "triangle"


def _alike(points: Array) -> float:
    """Share of the pixels (N, 2) that are there too when the object is turned upside down."""
    turned = np.rint(points.min(0) + points.max(0) - points)
    return len({*map(tuple, turned.tolist())} & {*map(tuple, points.tolist())}) / len(points)
