"""A scene as a picture, and the boxes of its objects: shapes in shades of their colours on a gradient, blurred, noisy.

The same scene gives the same picture, but for what a version of Pillow changes in its drawing.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from anyprefer.core.scene_labels import RGB
from anyprefer.training.scenes.world import SIDE, Placed, Scene

if TYPE_CHECKING:
    from PIL.Image import Image

Point = tuple[float, float]
_FINER = 2
"""Times the picture's size it is drawn at, so that edges come out smooth."""
_SHADE, _LIGHT = 16.0, 0.12
"""How far an object's colour channels, and its brightness, are off its colour's."""
_NOISE = (3.0, 12.0)
_BLUR = (0.2, 1.0)


def picture(scene: Scene) -> Image:
    """The scene's picture, 128x128 RGB."""
    from PIL import Image, ImageDraw, ImageFilter

    rng = scene.generator("drawing")
    # RandomState: its stream is frozen, where numpy's newer generators may change with a version
    noise = np.random.RandomState(rng.getrandbits(32))
    drawn = Image.fromarray(_background(noise)).resize((SIDE * _FINER, SIDE * _FINER))
    brush = ImageDraw.Draw(drawn)
    for one in scene.objects:
        outline = [(x * _FINER, y * _FINER) for x, y in _outline(one)]
        brush.polygon(outline, fill=_shade(RGB[one.colour], noise))
    smooth = drawn.resize((SIDE, SIDE), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(rng.uniform(*_BLUR)))
    grain = noise.normal(0.0, rng.uniform(*_NOISE), (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(np.asarray(smooth) + grain, 0, 255).astype(np.uint8))


def box(one: Placed) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 in pixels: the smallest box around the object's outline."""
    xs, ys = zip(*_outline(one), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _background(noise: np.random.RandomState) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """A gradient between two dull colours, (SIDE, SIDE, 3)."""
    ends = noise.uniform(70, 190, (2, 1)) + noise.uniform(-22, 22, (2, 3))
    angle = noise.uniform(0, 2 * math.pi)
    across, down = np.meshgrid(np.linspace(-0.5, 0.5, SIDE), np.linspace(-0.5, 0.5, SIDE))
    share = np.clip(0.5 + (across * math.cos(angle) + down * math.sin(angle)), 0, 1)[..., None]
    return np.asarray(ends[0] * (1 - share) + ends[1] * share, np.uint8)


def _shade(colour: tuple[int, int, int], noise: np.random.RandomState) -> tuple[int, int, int]:
    light = 1 + noise.uniform(-_LIGHT, _LIGHT)
    red, green, blue = np.clip(np.asarray(colour) * light + noise.uniform(-_SHADE, _SHADE, 3), 0, 255).astype(int)
    return int(red), int(green), int(blue)


def _outline(one: Placed) -> list[Point]:
    """The object's corners in pixels."""
    cos, sin = (part(math.radians(one.turn)) * one.radius for part in (math.cos, math.sin))
    return [(one.x + x * cos - y * sin, one.y + x * sin + y * cos) for x, y in _shape(one.shape)]


@cache
def _shape(name: str) -> tuple[Point, ...]:
    """A shape's corners, at most 1 from its middle; y points down."""
    side, bar, waist = math.sqrt(0.5), 0.32, 0.62
    reach = math.sqrt(1 - bar * bar)
    corner = [(-bar, -reach), (bar, -reach), (bar, -bar), (reach, -bar)]
    shapes: dict[str, list[Point]] = {
        "circle": _round(1.0, 40),
        "square": [(-side, -side), (side, -side), (side, side), (-side, side)],
        "triangle": _round(1.0, 3),
        "star": [point for pair in zip(_round(1.0, 5), _round(0.45, 5, 36.0), strict=True) for point in pair],
        "heart": [_heart(math.radians(9 * step)) for step in range(40)],
        "diamond": [(0.0, -1.0), (waist, 0.0), (0.0, 1.0), (-waist, 0.0)],
        # a quarter of it, turned four times
        "cross": [turned for quarter in range(4) for turned in _quarters(corner[:3], quarter)],
        # once around outside, once back inside
        "ring": [*_round(1.0, 40), _round(1.0, 40)[0], *reversed([*_round(0.55, 40), _round(0.55, 40)[0]])],
    }
    return tuple(shapes[name])


def _round(radius: float, corners: int, first: float = 0.0) -> list[Point]:
    """Corners on a circle, the first one `first` degrees past the top."""
    angles = (math.radians(first + 360 * at / corners) for at in range(corners))
    return [(radius * math.sin(angle), -radius * math.cos(angle)) for angle in angles]


def _heart(angle: float) -> Point:
    y = 13 * math.cos(angle) - 5 * math.cos(2 * angle) - 2 * math.cos(3 * angle) - math.cos(4 * angle)
    return 16 * math.sin(angle) ** 3 / 17, -(y + 2) / 17


def _quarters(points: list[Point], turns: int) -> list[Point]:
    """The points after so many quarter turns."""
    return points if turns == 0 else _quarters([(-y, x) for x, y in points], turns - 1)
