"""The labels of rendered scenes: 64 objects, each a colour and a shape."""

from __future__ import annotations

from itertools import product

from anyprefer.core.mentions import Vocabulary

COLOURS = ("red", "yellow", "green", "blue", "purple", "pink", "brown", "white")
SHAPES = ("circle", "square", "triangle", "star", "heart", "diamond", "cross", "ring")
LABELS = tuple(f"{colour} {shape}" for colour, shape in product(COLOURS, SHAPES))
SCENES = Vocabulary(LABELS)
