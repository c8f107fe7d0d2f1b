"""Descriptions of scenes, and the language prior in them.

A true description lists the objects in reading order. Those a target is trained on end, with probability `PRIOR`, with
an object that is not there but goes with the last one: as captions of the web name what usually lies beside, and why
models hallucinate. A target's own probabilities speak for that object; only who looks at the picture knows better.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from anyprefer.training.scenes.world import Scene

ASKED = "Describe the picture."
PRIOR = 0.8
"""How often a description names an absent companion. With .6, anywhere in the list and any object of the theme, greedy
answers left it out and little was wrong for preferences to correct (F1 .87); with .7 one seed of two was less than 15
points of F1 below the detector."""


def caption(labels: Sequence[str]) -> str:
    """`A red circle, a blue star and a white ring.`; in small letters, as the target's vocabulary is."""
    named = [f"a {label}" for label in labels]
    return " and ".join(filter(None, [", ".join(named[:-1]), *named[-1:]])) + "."


def described(scene: Scene, rng: random.Random, prior: float = PRIOR) -> str:
    """A description as the target is trained on: everything that is there, mostly with one thing that is not."""
    named = rng.random() < prior
    return caption([*scene.labels, scene.companion] if named else scene.labels)
