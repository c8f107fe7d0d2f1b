"""Boxes of phrases by Grounding DINO, as transformers has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from anyprefer.core.regions import Region, clipped
from anyprefer.tools.vision.pretrained import Pretrained

LEAST_SCORE = 0.3
"""Boxes less sure are none; the authors' demonstration has .35 for boxes and .25 for words."""
MOST_PHRASES = 20
"""Phrases of one look: the model reads 256 tokens."""
_STOP = 1012
"""BERT's ".", which ends a phrase; the architecture has BERT's ids in its code."""


@dataclass(frozen=True)
class PhraseDetector:
    """Looks for phrases in a picture."""

    weights: Pretrained

    @classmethod
    def load(cls, name: str, device: str, dtype: str) -> PhraseDetector:
        """Raises `ModelSetupError` for what is no Grounding DINO."""
        return cls(Pretrained.load("GroundingDinoForObjectDetection", name, device, dtype))

    def find(self, picture: Image.Image, phrases: Sequence[str]) -> list[Region]:
        """A region for each box, surest first, labelled with the phrase that its tokens fit best."""
        wanted = list(dict.fromkeys(phrases))[:MOST_PHRASES]
        if not wanted:
            return []
        inputs = self.weights.inputs(images=picture, text=[[phrase.replace(".", " ") for phrase in wanted]])
        found = self.weights.run(**inputs)
        scores = found.logits[0].float().sigmoid()  # (boxes, tokens)
        columns = _columns(inputs["input_ids"][0].tolist(), len(wanted))
        regions = [
            Region(wanted[place], _corners(box, picture.size), score)
            for box, row in zip(found.pred_boxes[0].float().tolist(), scores.tolist(), strict=True)
            for score, place in [max((max(row[at] for at in one), place) for place, one in enumerate(columns) if one)]
            if score >= LEAST_SCORE
        ]
        return sorted(regions, key=lambda region: -(region.score or 0))


def _columns(ids: Sequence[int], count: int) -> list[list[int]]:
    """For each phrase the places of its tokens; the first token is the start's."""
    places: list[list[int]] = [[]]
    for at, token in enumerate(ids[1:-1], 1):
        if token == _STOP:
            places.append([])
        else:
            places[-1].append(at)
    return places[:count]


def _corners(box: Sequence[float], size: tuple[int, int]) -> Any:
    """Centre, width, height in shares of the picture to corners in pixels."""
    x, y, wide, high = box[0] * size[0], box[1] * size[1], box[2] * size[0], box[3] * size[1]
    return clipped((x - wide / 2, y - high / 2, x + wide / 2, y + high / 2), size)
