"""What is in a scene and where: 2 to 5 of 64 objects (8 colours, 8 shapes), those of one theme together more often.

A scene is drawn from its split, seed and number alone. What co-occurs is what a language model trained on the
descriptions comes to expect, seen or not.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, get_args

from anyprefer.core.errors import InputError
from anyprefer.core.scene_labels import COLOURS, LABELS, SHAPES

Split = Literal["base", "train", "dev", "heldout"]
"""`base` is what the target and the detector are built from, `train` the pictures that pairs are made of; settings are
chosen on `dev`, and claims rest on `heldout`."""
_DRAWING = {"heldout": "heldout-3"}
"""How the target is built was chosen with two drawings of `heldout` in sight, so claims rest on a third one."""
SIDE = 128
"""Pixels of a picture's side."""
THEMES = tuple(
    tuple(f"{colour} {SHAPES[(at + theme) % len(SHAPES)]}" for at, colour in enumerate(COLOURS))
    for theme in range(len(SHAPES))
)
"""8 themes of 8 objects: a Latin square, so that each object has one theme and a theme all colours and shapes."""
_FEWEST, _MOST = 2, 5
_OF_THEME = 0.75
"""How often an object is of the scene's theme; else it is any."""
_RADIUS = (12.0, 21.0)
"""Pixels from an object's middle to its farthest point."""
_TURN = 18.0
"""Degrees an object is turned at most, either way: a square never becomes a diamond."""
_GAP = 2.0
_ROW = SIDE // 4
"""Pixels of a line in reading order."""


@dataclass(frozen=True)
class Placed:
    """One object of a scene."""

    label: str
    """`red circle`."""
    x: float
    y: float
    """Its middle, in pixels."""
    radius: float
    turn: float
    """Degrees."""

    @property
    def colour(self) -> str:
        """Its label's first word."""
        return self.label.split()[0]

    @property
    def shape(self) -> str:
        """Its label's second word."""
        return self.label.split()[1]


@dataclass(frozen=True)
class Scene:
    """What is in a picture."""

    id: str
    """`train-0-17`: its split, seed and number; `heldout-3-0-17` of the split `heldout`."""
    theme: tuple[str, ...]
    objects: tuple[Placed, ...]
    """In reading order: line by line, each from left to right. No two have the same label."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What is there, in reading order."""
        return tuple(one.label for one in self.objects)

    def absent(self) -> list[str]:
        """The theme's objects that are not there."""
        return [label for label in self.theme if label not in self.labels]

    @property
    def companion(self) -> str:
        """The first absent object in the order of the theme, from the last object on, or its colour where the theme
        lacks it: what one expects beside it."""
        start = COLOURS.index(self.objects[-1].colour)
        return next(label for label in (*self.theme[start:], *self.theme) if label not in self.labels)

    def generator(self, purpose: str) -> random.Random:
        """Random numbers of this scene for one purpose, independent of those for others."""
        return random.Random(f"{self.id}:{purpose}")


def scene(split: Split, seed: int, number: int) -> Scene:
    """The scene of a split with this seed and number. Raises `InputError` for a split there is not."""
    if split not in get_args(Split):
        raise InputError(f"scenes have no split {split!r}; there are {', '.join(get_args(Split))}")
    name = f"{_DRAWING.get(split, split)}-{seed}-{number}"
    rng = random.Random(f"{name}:layout")
    theme = rng.choice(THEMES)
    placed: list[Placed] = []
    for label in _chosen(theme, rng):
        placed.extend(_placed(label, placed, rng))
    return Scene(name, theme, tuple(sorted(placed, key=lambda one: (one.y // _ROW, one.x))))


def _chosen(theme: tuple[str, ...], rng: random.Random) -> list[str]:
    """Different labels, most of them of the theme."""
    count, labels = rng.randint(_FEWEST, _MOST), list[str]()
    while len(labels) < count:
        label = rng.choice(theme if rng.random() < _OF_THEME else LABELS)
        if label not in labels:
            labels.append(label)
    return labels


def _placed(label: str, others: list[Placed], rng: random.Random) -> list[Placed]:
    """The object where it touches no other; none where no such place is found soon, which leaves at least two."""
    for _ in range(100):
        radius = rng.uniform(*_RADIUS)
        x, y = (rng.uniform(radius, SIDE - radius) for _ in range(2))
        if all((x - one.x) ** 2 + (y - one.y) ** 2 > (radius + one.radius + _GAP) ** 2 for one in others):
            return [Placed(label, x, y, radius, rng.uniform(-_TURN, _TURN))]
    return []
