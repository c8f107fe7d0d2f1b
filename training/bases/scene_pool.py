"""Scenes to learn from, with the frozen features of their pictures: computed once, used in every step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from tqdm import tqdm

from anyprefer.core.scene_labels import COLOURS, SHAPES
from anyprefer.models.local.lite0 import CELLS, Lite0Encoder, Lite0ImageProcessor
from anyprefer.training.scenes.drawing import picture
from anyprefer.training.scenes.world import SIDE, Scene, Split, scene

WORDS = (*COLOURS, *SHAPES)
"""The words that tell objects apart, colours first."""
_AT_ONCE = 16
"""Pictures; larger batches leave the processor's cache and take twice as long each."""


@dataclass(frozen=True)
class ScenePool:
    """Scenes and what the frozen encoder sees in each."""

    scenes: tuple[Scene, ...]
    features: torch.Tensor
    """(N, 64, 272) half."""


def scene_pool(encoder: Lite0Encoder, split: Split, seed: int, numbers: range) -> ScenePool:
    """The scenes with these numbers."""
    scenes = tuple(scene(split, seed, number) for number in numbers)
    processor, found = Lite0ImageProcessor(), list[torch.Tensor]()
    for first in tqdm(range(0, len(scenes), _AT_ONCE), desc="pictures", unit_scale=_AT_ONCE, leave=False):
        drawn = [picture(one) for one in scenes[first : first + _AT_ONCE]]
        pixels = processor(drawn, return_tensors="pt")["pixel_values"]
        found.append(encoder(pixels).half())
    return ScenePool(scenes, torch.cat(found))


def cell_words(one: Scene) -> torch.Tensor:
    """(64, 2) long: for each cell the colour and the shape of the object at its middle, numbered from 1; 0 where none is."""
    size, words = SIDE / CELLS, torch.zeros(CELLS * CELLS, 2, dtype=torch.long)
    for thing in one.objects:
        for cell in range(CELLS * CELLS):
            x, y = (cell % CELLS + 0.5) * size, (cell // CELLS + 0.5) * size
            if (x - thing.x) ** 2 + (y - thing.y) ** 2 < thing.radius**2:
                words[cell] = torch.tensor([WORDS.index(thing.colour) + 1, WORDS.index(thing.shape) - len(COLOURS) + 1])
    return words


def token_words(one: Scene) -> torch.Tensor:
    """(16, 16) float: which of `WORDS` each of the 16 tokens stands for, those of the objects whose middle it holds."""
    side = CELLS // 2
    words = torch.zeros(side * side, len(WORDS))
    for thing in one.objects:
        token = int(thing.y * side // SIDE) * side + int(thing.x * side // SIDE)
        words[token, [WORDS.index(thing.colour), WORDS.index(thing.shape)]] = 1
    return words
