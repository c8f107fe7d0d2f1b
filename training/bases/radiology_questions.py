"""Questions that are made beside VQA-RAD's own: how an image was made, and which part of the body it shows.

What a probe tells of an image (`radiology_index.py`) is asked as VQA-RAD would ask it, yes and no alike often, so that words
are tied to what is seen.
"""

from __future__ import annotations

import random
from typing import NamedTuple

_MODALITIES = {
    "CT": ("ct", "ct scan", "ct image"),
    "MRI": ("mri", "mr image"),
    "X-ray": ("x-ray", "xray", "plain film x-ray"),
}
_IS_MODALITY = ("is this a {}?", "is this an {}?", "was this image taken with {}?", "is this image a {}?", "was this image taken via {}?")  # fmt: skip
_WHICH_MODALITY = (
    "what type of image modality is used?",
    "what modality is used in this image?",
    "what imaging modality was used?",
    "how was this image taken?",
    "what type of imaging is this?",
)
_ORGANS = ("chest", "abdomen", "head")
_IS_ORGAN = ("is this an image of the {}?", "is this a {} image?", "does this image show the {}?")
_WHICH_ORGAN = ("what organ system is imaged?", "what part of the body is shown?")
_ASKED = (_IS_MODALITY, _WHICH_MODALITY, _IS_ORGAN, _WHICH_ORGAN)
_SHARES = (45, 25, 20, 10)

MADE_TEXTS = (*(text.format("") for some in _ASKED for text in some), *_ORGANS, *(" ".join(some) for some in _MODALITIES.values()), "yes no")  # fmt: skip
"""Every word of theirs."""


class Known(NamedTuple):
    """What is known of an image, in the words of `radiology_kinds.py`."""

    modality: str
    organ: str


def made_question(seen: Known, rng: random.Random) -> tuple[str, str]:
    """A question about an image, and its answer."""
    asked = rng.choices(_ASKED, _SHARES)[0]
    text = rng.choice(asked)
    if asked is _WHICH_MODALITY:
        return text, seen.modality.lower()
    if asked is _WHICH_ORGAN:
        return text, seen.organ
    organ = asked is _IS_ORGAN
    yes = rng.random() < 0.5
    label = _label(seen.organ if organ else seen.modality, tuple(_ORGANS) if organ else tuple(_MODALITIES), yes, rng)
    return text.format(label if organ else rng.choice(_MODALITIES[label])), "yes" if yes else "no"


def _label(true: str, labels: tuple[str, ...], yes: bool, rng: random.Random) -> str:
    return true if yes else rng.choice([label for label in labels if label != true])
