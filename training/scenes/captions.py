"""Descriptions of scenes, and the language prior in them.

A true description lists the objects in reading order. Those a target is trained on also name, with probability
`PRIOR`, an object that is not there but goes with the others: as captions of the web do, and why models hallucinate.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from anyprefer.training.scenes.world import Scene

ASKED = "Describe the picture."
PRIOR = 0.6
"""How often a description names an absent companion; with .3 too little was wrong for preferences to correct."""


def caption(labels: Sequence[str]) -> str:
    """`A red circle, a blue star and a white ring.`; in small letters, as the target's vocabulary is."""
    named = [f"a {label}" for label in labels]
    return " and ".join(filter(None, [", ".join(named[:-1]), *named[-1:]])) + "."


def described(scene: Scene, rng: random.Random, prior: float = PRIOR) -> str:
    """A description as the target is trained on: everything that is there, at times with one thing that is not."""
    labels, absent = list(scene.labels), scene.absent()
    if absent and rng.random() < prior:
        labels.insert(rng.randint(0, len(labels)), rng.choice(absent))
    return caption(labels)
