"""Trains the detector of scenes: a tool that knows better than the target does.

It learns for few steps, since it begins to overfit early. Its threshold is chosen on scenes of the split it learns
from, which it has not seen.

    build_detector().save(Path("models/detector"))
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, l1_loss

from anyprefer.core.scene_labels import COLOURS, SHAPES
from anyprefer.models.local.lite0 import SIDE
from anyprefer.models.local.lite0_weights import pretrained_encoder
from anyprefer.models.local.scene_detector import PLACES, Found, SceneDetector
from anyprefer.training.bases.fitting import fit
from anyprefer.training.bases.scene_pool import ScenePool, scene_pool
from anyprefer.training.scenes.drawing import box
from anyprefer.training.scenes.world import Scene

STEPS = 600
_SEED = 1_000_000
"""Of its scenes: none that a target is built from."""
_PICTURES = 64
_SPREAD = 0.7
"""Places from a middle at which a centre's score is to be exp(-1/2)."""
_THRESHOLDS = tuple(at / 20 for at in range(2, 19))


def build_detector(steps: int = STEPS) -> SceneDetector:
    """Trains the detector from scratch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        detector = SceneDetector((tuple(COLOURS), SHAPES))
        detector.encoder.load_state_dict(pretrained_encoder().state_dict())
        seen = scene_pool(detector.encoder, "base", _SEED, range(7 * steps))
        unseen = scene_pool(detector.encoder, "base", _SEED, range(7 * steps, 7 * steps + max(8, steps // 2)))
        _train(detector, seen, steps)
    detector.eval()
    detector.threshold = max(_THRESHOLDS, key=lambda at: f1(detector.found(unseen.features.float(), at), unseen.scenes))
    return detector


def f1(found: Sequence[Sequence[Found]], scenes: Sequence[Scene]) -> float:
    """Of the labels found, over all scenes together; one that is found twice in a scene is wrong the second time."""
    right = sum(len({one.label for one in told} & {*scene.labels}) for told, scene in zip(found, scenes, strict=True))
    return 2 * right / max(1, sum(map(len, found)) + sum(len(scene.labels) for scene in scenes))


def _train(detector: SceneDetector, pool: ScenePool, steps: int) -> None:
    rng, wanted = random.Random(_SEED), [_targets(one) for one in pool.scenes]
    score, place, reach, words = (torch.stack(part) for part in zip(*wanted, strict=True))

    def loss() -> torch.Tensor:
        drawn = rng.choices(range(len(pool.scenes)), k=_PICTURES)
        centres, reached, *kinds = detector(pool.features[drawn].float())
        there = place[drawn]  # (B, 16, 16) bool
        parts = [_focal(centres[:, 0], score[drawn]), 0.2 * l1_loss(_at(reached, there), _at(reach[drawn], there))]
        for at, kind in enumerate(kinds):
            parts.append(cross_entropy(_at(kind, there), words[drawn][:, at][there]))
        return torch.stack(parts).sum()

    fit("detector", detector.head.parameters(), loss, steps, 1e-3)


def _at(values: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """(B, C, 16, 16) and (B, 16, 16) bool to (M, C)."""
    return values.movedim(1, -1)[there]


def _targets(scene: Scene) -> tuple[torch.Tensor, ...]:
    """Centres' scores (16, 16), which places learn boxes and words, reaches (4, 16, 16), colour and shape (2, 16, 16)."""
    rows, columns = torch.meshgrid(torch.arange(PLACES) + 0.5, torch.arange(PLACES) + 0.5, indexing="ij")
    size = SIDE / PLACES
    score, there = torch.zeros(PLACES, PLACES), torch.zeros(PLACES, PLACES, dtype=torch.bool)
    reach, words = torch.zeros(4, PLACES, PLACES), torch.zeros(2, PLACES, PLACES, dtype=torch.long)
    for one in scene.objects:
        x, y = one.x / size, one.y / size
        apart = (columns - x) ** 2 + (rows - y) ** 2
        score = torch.maximum(score, torch.exp(-apart / (2 * _SPREAD**2)))
        score[int(y), int(x)] = 1.0
        near = apart < 1.5**2
        there |= near
        x0, y0, x1, y1 = (edge / size for edge in box(one))
        reach[:, near] = torch.stack([columns - x0, rows - y0, x1 - columns, y1 - rows])[:, near]
        words[:, near] = torch.tensor([[[*COLOURS].index(one.colour)], [SHAPES.index(one.shape)]])
    return score, there, reach, words


def _focal(logits: torch.Tensor, score: torch.Tensor) -> torch.Tensor:
    """Penalty-reduced focal loss of centres (Law and Deng 2018, eq. 1), both (B, 16, 16)."""
    chance, middle = logits.sigmoid(), score == 1
    right = binary_cross_entropy_with_logits(logits, middle.float(), reduction="none")
    weight = torch.where(middle, (1 - chance) ** 2, chance**2 * (1 - score) ** 4)
    return (weight * right).sum() / middle.sum().clamp(min=1)
