"""What the embedded tools of medicine know: images, questions and answers of VQA-RAD's training split, and probes.

`anyprefer build radiology_index` makes it. What it tells of an image never comes from that image: neighbours are of other
images, and a probe's head for an image of the index was trained without it.

    index = load_index(built_folder("radiology_index"))
    look = index.look("chest.png")
    index.probed("modality", look)                         # ("X-ray", 0.99)
    index.neighbours("Is there a fracture?", look, 10)     # [Neighbour("Is a rib broken?", "No", 1.21)]
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn.functional import normalize

from anyprefer.core.errors import ModelSetupError
from anyprefer.core.pictures import content_hash, opened
from anyprefer.models.local.lite0 import Lite0Encoder, Lite0ImageProcessor
from anyprefer.models.local.lite0_weights import pretrained_encoder

FOLDS = 5
"""Heads a probe has, each trained without the images of one fold."""
_IMAGE_WEIGHT = 0.3
"""Of the images' likeness beside the questions'; chosen among 0, .1, .3, .6 and 1 on training images."""
_REMEMBERED = 256
_WORD = re.compile(r"\w+")


class Asked(NamedTuple):
    """A question of the index."""

    question: str
    answer: str
    image: int
    """Which of the index's images it is about."""


class Neighbour(NamedTuple):
    """A question about another image, how it was answered, and how much alike the two are."""

    question: str
    answer: str
    likeness: float
    """0..1.3: of the words, and 0.3 times of the images."""


class Look(NamedTuple):
    """An image as the index sees it."""

    hash: str
    features: torch.Tensor
    """(F,)"""


class Head(NamedTuple):
    """A linear probe, once for every fold."""

    labels: Sequence[str]
    weight: torch.Tensor
    """(FOLDS, L, F + 1); the last column is the bias."""


@dataclass(frozen=True)
class RadiologyIndex:
    """The index; `hashes` are the images' content hashes, `features` (N, F) what `pooled` makes of them."""

    hashes: Sequence[str]
    features: torch.Tensor
    rows: Sequence[Asked]
    heads: Mapping[str, Head]

    def look(self, image: str) -> Look:
        """An image as `Task.images` holds it, opened only where it is not in the index. Raises `InputError` for one that
        cannot be read."""
        found = content_hash(image)
        known = self._known.get(found)
        return Look(found, self._others(found, image) if known is None else self.features[known])

    def _others(self, image_hash: str, image: str) -> torch.Tensor:
        """Features of an image that is not in the index; those of the last ones are remembered, since every candidate asks."""
        if image_hash not in self._remembered:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[image_hash] = pooled(self._encoder, image)
        return self._remembered[image_hash]

    def probed(self, probe: str, look: Look) -> tuple[str, float]:
        """The label a probe is surest of, with its probability: of the head that did not see the image in training, of
        all heads' mean for an image that is not in the index."""
        head = self.heads[probe]
        seen = torch.cat([self._scaled(look.features), torch.ones(1)])
        shares = (head.weight @ seen).softmax(dim=1)  # (FOLDS, L)
        share = shares[fold_of(look.hash)] if look.hash in self._known else shares.mean(dim=0)
        best = int(share.argmax())
        return head.labels[best], float(share[best])

    def neighbours(self, question: str, look: Look, k: int) -> list[Neighbour]:
        """Up to `k` questions about other images, the most alike first; none that shares no word."""
        words = self._words @ self._vector(question)  # (R,)
        images = self._directions @ normalize(self._scaled(look.features), dim=0)  # (N,)
        others = self._images != self._known.get(look.hash, -1)
        alike = (
            (words + _IMAGE_WEIGHT * images[self._images]).clamp(min=0).where(others & (words > 0), torch.tensor(-1.0))
        )
        best = alike.topk(min(k, len(self.rows)))
        found = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        return [Neighbour(self.rows[at].question, self.rows[at].answer, score) for score, at in found if score >= 0]

    def save(self, folder: Path) -> None:
        """Into a folder, which is made."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        heads = {f"head {name}": head.weight for name, head in self.heads.items()}
        save_file({"features": self.features, **heads}, str(folder / "model.safetensors"))
        labels = {name: list(head.labels) for name, head in self.heads.items()}
        config = {"hashes": list(self.hashes), "rows": self.rows, "labels": labels}
        (folder / "config.json").write_text(json.dumps(config) + "\n", encoding="utf-8")

    @cached_property
    def _remembered(self) -> dict[str, torch.Tensor]:
        return {}

    @cached_property
    def _encoder(self) -> Lite0Encoder:
        return pretrained_encoder()

    @cached_property
    def _known(self) -> dict[str, int]:
        return {one: at for at, one in enumerate(self.hashes)}

    @cached_property
    def _images(self) -> torch.Tensor:
        return torch.tensor([row.image for row in self.rows])  # (R,)

    @cached_property
    def _directions(self) -> torch.Tensor:
        return normalize(self._scaled(self.features), dim=1)  # (N, F)

    @cached_property
    def _scale(self) -> tuple[torch.Tensor, torch.Tensor]:
        return scale_of(self.features)

    def _scaled(self, features: torch.Tensor) -> torch.Tensor:
        mean, spread = self._scale
        return (features - mean) / spread

    @cached_property
    def _rarity(self) -> dict[str, tuple[int, float]]:
        """By word, its column and ln(1 + rows / rows with it)."""
        counts = Counter(word for row in self.rows for word in words_of(row.question))
        rows = len(self.rows)
        return {word: (at, math.log1p(rows / count)) for at, (word, count) in enumerate(sorted(counts.items()))}

    @cached_property
    def _words(self) -> torch.Tensor:
        """(R, V), each row of length 1."""
        return torch.stack([self._vector(row.question) for row in self.rows])

    def _vector(self, question: str) -> torch.Tensor:
        vector = torch.zeros(len(self._rarity))
        for word in words_of(question):
            if word in self._rarity:
                at, weight = self._rarity[word]
                vector[at] = weight
        return normalize(vector, dim=0)


def load_index(folder: Path) -> RadiologyIndex:
    """The index that `save` wrote. Raises `ModelSetupError` for a folder that holds none."""
    from safetensors.torch import load_file

    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kept = load_file(str(folder / "model.safetensors"))
        heads = {name: Head(labels, kept[f"head {name}"]) for name, labels in config["labels"].items()}
        return RadiologyIndex(config["hashes"], kept["features"], [Asked(*row) for row in config["rows"]], heads)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelSetupError(f"folder {folder} holds no radiology index: {error}") from error


@torch.no_grad()
def pooled(encoder: Lite0Encoder, image: str) -> torch.Tensor:
    """Mean and spread over the cells of EfficientNet-Lite0's features, (F,) with F = 2 * 272."""
    cells = encoder(Lite0ImageProcessor()([opened(image)], return_tensors="pt")["pixel_values"])[0]  # (64, 272)
    return torch.cat([cells.mean(dim=0), cells.std(dim=0)])


def scale_of(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and spread of each of (N, F)."""
    return features.mean(dim=0), features.std(dim=0, correction=0) + 1e-3


def fold_of(image_hash: str) -> int:
    """0..FOLDS - 1, by an image's content hash."""
    return int(image_hash[:8], 16) % FOLDS


def words_of(text: str) -> set[str]:
    """The words of a text in small letters, without VQA-RAD's "-yes/no" behind a question."""
    return set(_WORD.findall(text.lower().removesuffix("-yes/no")))
