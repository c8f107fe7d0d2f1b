"""The labels of rendered scenes: 64 objects, each a colour and a shape."""

from __future__ import annotations

from itertools import product

from anyprefer.core.mentions import Vocabulary

RGB = {
    "red": (208, 40, 40),
    "yellow": (230, 205, 45),
    "green": (50, 155, 65),
    "blue": (45, 85, 205),
    "purple": (130, 55, 170),
    "pink": (238, 130, 178),
    "brown": (128, 80, 42),
    "white": (242, 242, 242),
}
"""Each colour before an object's own shade."""
COLOURS = tuple(RGB)
SHAPES = ("circle", "square", "triangle", "star", "heart", "diamond", "cross", "ring")
LABELS = tuple(f"{colour} {shape}" for colour, shape in product(COLOURS, SHAPES))
SCENES = Vocabulary(LABELS)
