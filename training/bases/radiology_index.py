"""Makes what the embedded tools of medicine know of the images of VQA-RAD's splits `base` and `train` (by image).

Probes are logistic regressions on frozen features. Their labels are what the questions and answers about an image
say of it: its organ is a column of VQA-RAD, its modality an answer ("What modality is used?" "CT"), a yes ("Is this a CT?"), or
what a question takes for granted ("on this CT").

    build_index().save(Path("models/radiology_index"))
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch.nn.functional import cross_entropy

from anyprefer.core.errors import InputError
from anyprefer.core.pictures import content_hash
from anyprefer.core.task import Task
from anyprefer.models.local.lite0_weights import pretrained_encoder
from anyprefer.models.local.radiology_index import FOLDS, Asked, Head, RadiologyIndex, fold_of, pooled, scale_of
from anyprefer.tools.vision.radiology_kinds import KINDS, MODALITY, ORGAN
from anyprefer.training.evaluation.medical_families import base_questions

STEPS = 300
"""Of each head."""
_ORGANS = {"CHEST": "chest", "ABD": "abdomen", "HEAD": "head"}
"""VQA-RAD's words for them."""
_IS_IT = re.compile(r"(?:is|was) (?:this|it)(?: image)?(?: an?)? ")
_GENERAL = re.compile(r"\b(?:first|best|recommend\w*|would|should|can|could|versus|than|or|not|always|need)\b")


def build_index(steps: int = STEPS) -> RadiologyIndex:
    """Reads the folder that ANYPREFER_DATA names. Raises `InputError` without the data."""
    tasks = base_questions("base", "train")
    images = list(dict.fromkeys(task.images[0] for task in tasks))
    hashes, encoder = [content_hash(image) for image in images], pretrained_encoder()
    features = torch.stack([pooled(encoder, image) for image in images])
    at = {image: place for place, image in enumerate(images)}
    rows = [Asked(task.question, str(task.reference), at[task.images[0]]) for task in tasks]
    told = {MODALITY.name: modalities(rows), ORGAN.name: _organs(tasks, at)}
    heads = {kind.name: _head(list(kind.labels), told[kind.name], features, hashes, steps) for kind in KINDS}
    return RadiologyIndex(hashes, features, rows, heads)


def modalities(rows: Sequence[Asked]) -> dict[int, str]:
    """By image, the modality that most of its questions and answers state; images of which none does are left out."""
    said: dict[int, Counter[str]] = defaultdict(Counter)
    for row in rows:
        named = _named(row.question, row.answer)
        if len(named) == 1:
            said[row.image][named[0]] += 1
    return {image: counts.most_common(1)[0][0] for image, counts in said.items()}


def _named(question: str, answer: str) -> list[str]:
    """Modalities that a question takes for granted ("on this MRI"), or else the answer gives it; none of "Is this a CT?" "no",
    and none of what asks about modalities in general."""
    if _GENERAL.search(question.lower()) or (_IS_IT.match(question.lower()) and not answer.lower().startswith("yes")):
        return []
    return MODALITY.named(question) or (MODALITY.named(answer) if MODALITY.asks_which(question) else [])


def _organs(tasks: Sequence[Task], at: Mapping[str, int]) -> dict[int, str]:
    return {at[task.images[0]]: _ORGANS[organ] for task in tasks if (organ := task.meta["organ"]) in _ORGANS}


def _head(
    labels: Sequence[str], told: Mapping[int, str], features: torch.Tensor, hashes: Sequence[str], steps: int
) -> Head:
    """A logistic regression for each fold, on the labelled images that are not in it."""
    mean, spread = scale_of(features)
    seen = torch.cat([(features - mean) / spread, torch.ones(len(features), 1)], dim=1)  # (N, F + 1)
    folds = [[image for image in told if fold_of(hashes[image]) != fold] for fold in range(FOLDS)]
    if not all(folds):
        raise InputError("too few questions of vqa_rad say what an image shows, so nothing can be learned from them")
    gold = torch.tensor([labels.index(told[image]) if image in told else -1 for image in range(len(features))])
    return Head(labels, torch.stack([_regression(seen[some], gold[some], len(labels), steps) for some in folds]))


def _regression(seen: torch.Tensor, gold: torch.Tensor, labels: int, steps: int) -> torch.Tensor:
    """Weights (L, F + 1)."""
    weight = torch.zeros(labels, seen.shape[1], requires_grad=True)
    optimizer = torch.optim.AdamW([weight], lr=3e-3, weight_decay=1.0)
    for _ in range(steps):
        optimizer.zero_grad()
        cross_entropy(seen @ weight.T, gold).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return weight.detach()
