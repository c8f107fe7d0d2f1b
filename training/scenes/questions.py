"""Questions about scenes: is something there (POPE's form, Li et al. 2023), and of what colour or shape it is.

What is asked for in vain is of three kinds: `random`, anything that is not there; `adversarial`, of the scene's theme;
`swap`, the colour of one object with the shape of another.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

from anyprefer.core.scene_labels import LABELS
from anyprefer.training.scenes.world import Scene

Kind = Literal["random", "adversarial", "swap"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Question:
    """A question with a word for an answer."""

    text: str
    answers: tuple[str, ...]
    """Every right answer, in reading order; more than one where several objects fit."""


def yes_no(scene: Scene, kind: Kind, answer: Literal["yes", "no"], rng: random.Random) -> Question:
    """`Is there a red circle?` with this answer."""
    label = rng.choice(scene.labels if answer == "yes" else _not_there(scene, kind))
    return Question(f"Is there a {label}?", (answer,))


def retrieval(scene: Scene, rng: random.Random) -> Question:
    """`What colour is the circle?` or `Which shape is red?` of an object that is there."""
    one = rng.choice(scene.objects)
    if rng.random() < 0.5:
        alike = [other.colour for other in scene.objects if other.shape == one.shape]
        return Question(f"What colour is the {one.shape}?", tuple(dict.fromkeys(alike)))
    alike = [other.shape for other in scene.objects if other.colour == one.colour]
    return Question(f"Which shape is {one.colour}?", tuple(dict.fromkeys(alike)))


def _not_there(scene: Scene, kind: Kind) -> list[str]:
    """Labels of this kind; where all mixtures are there, `swap` takes the theme's."""
    if kind == "random":
        return [label for label in LABELS if label not in scene.labels]
    mixed = product((one.colour for one in scene.objects), (one.shape for one in scene.objects))
    swapped = sorted({f"{colour} {shape}" for colour, shape in mixed} - {*scene.labels})
    return swapped if kind == "swap" and swapped else scene.absent()
