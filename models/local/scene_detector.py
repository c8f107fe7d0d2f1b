"""The trained detector of scenes: which of the 64 objects are in a picture, and where. Built by `anyprefer build`.

A centre-point detector (Zhou et al. 2019, Objects as Points) on the frozen features of `lite0.py`: context by two
residual convolutions, then 16x16 places with a centre's score, colour, shape, and how far its box reaches.

    detector = load_detector(built_folder("scene_detector"))
    detector.detect(picture)                       # [Found(label="red circle", box=(…), score=.97)]
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.local.lite0 import CELLS, FEATURES, SIDE, Lite0Encoder, Lite0ImageProcessor

if TYPE_CHECKING:
    from PIL.Image import Image

PLACES = 2 * CELLS
"""Places of a picture's side."""
_WIDE = 128
_NEAR = 5
"""Places of a side of the window in which only the best centre stands."""


class Found(NamedTuple):
    """An object in a picture."""

    label: str
    """`red circle`."""
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in the picture's pixels."""
    score: float
    """0..1, higher is surer."""


class SceneDetector(nn.Module):
    """`words` are the names of colours and of shapes, `threshold` the lowest score of an object that is told."""

    def __init__(self, words: Sequence[Sequence[str]], threshold: float = 0.5) -> None:
        super().__init__()
        self.words, self.threshold = [list(kind) for kind in words], threshold
        self.encoder = Lite0Encoder()
        self.head = nn.Sequential(
            nn.Conv2d(FEATURES, _WIDE, 1), nn.ReLU(), Residual(_WIDE), Residual(_WIDE),
            nn.Conv2d(_WIDE, 4 * (5 + sum(map(len, words))), 1), nn.PixelShuffle(2),
        )  # fmt: skip

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Frozen features (B, 64, 272) to logits of centres (B, 1, 16, 16), how far boxes reach to the left, the top,
        the right and the bottom of a place's middle, in places (B, 4, 16, 16), and logits of each kind of word."""
        flat: Any = features.transpose(1, 2)  # torch leaves unflatten's types out
        cells = flat.unflatten(2, (CELLS, CELLS))
        return torch.split(self.head(cells), [1, 4, *map(len, self.words)], dim=1)

    @torch.inference_mode()
    def detect(self, picture: Image) -> list[Found]:
        """What is in an RGB picture of any size, the surest first."""
        pixels = Lite0ImageProcessor()(picture, return_tensors="pt")["pixel_values"].to(self.encoder.stem.weight.device)
        found = self.found(self.encoder(pixels))[0]
        wide, high = (size / SIDE for size in picture.size)
        return [
            one._replace(box=(one.box[0] * wide, one.box[1] * high, one.box[2] * wide, one.box[3] * high))
            for one in found
        ]

    @torch.inference_mode()
    def found(self, features: torch.Tensor, threshold: float | None = None) -> list[list[Found]]:
        """The same of frozen features (B, 64, 272), in pixels of a picture of 128x128."""
        centres, reach, *kinds = self(features)
        scores = centres.sigmoid()
        best = nn.functional.max_pool2d(scores, _NEAR, stride=1, padding=_NEAR // 2)
        stands = (scores == best) & (scores >= (self.threshold if threshold is None else threshold))
        told: list[list[Found]] = [[] for _ in features]
        for picture, _, row, column in stands.nonzero().tolist():
            label = " ".join(
                names[int(kind[picture, :, row, column].argmax())]
                for names, kind in zip(self.words, kinds, strict=True)
            )
            box = _box(reach[picture, :, row, column].tolist(), row, column)
            told[picture].append(Found(label, box, float(scores[picture, 0, row, column])))
        return [sorted(one, key=lambda found: -found.score) for one in told]

    def save(self, folder: Path) -> None:
        """Weights and words into a folder, which is made."""
        from safetensors.torch import save_model

        folder.mkdir(parents=True, exist_ok=True)
        save_model(self, str(folder / "model.safetensors"))
        config = {"words": self.words, "threshold": self.threshold}
        (folder / "config.json").write_text(json.dumps(config) + "\n", encoding="utf-8")


class Residual(nn.Module):
    """Two 3x3 convolutions around which the input is added."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(wide, wide, 3, padding=1), nn.ReLU(), nn.Conv2d(wide, wide, 3, padding=1)
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same."""
        return nn.functional.relu(x + self.inner(x))


def load_detector(folder: Path) -> SceneDetector:
    """The detector that `save` wrote. Raises `ModelSetupError` for a folder that holds none."""
    from safetensors.torch import load_model

    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        detector = SceneDetector(config["words"], config["threshold"])
        load_model(detector, str(folder / "model.safetensors"))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelSetupError(f"folder {folder} holds no scene detector: {error}") from error
    return detector.eval()


def _box(reach: Sequence[float], row: int, column: int) -> tuple[float, float, float, float]:
    """Of a place, in pixels, within the picture."""
    left, top, right, bottom = (max(0.0, one) for one in reach)
    x, y, size = column + 0.5, row + 0.5, SIDE / PLACES
    x0, y0, x1, y1 = (min(max(at * size, 0.0), SIDE) for at in (x - left, y - top, x + right, y + bottom))
    return x0, y0, x1, y1
