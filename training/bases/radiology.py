"""Builds the embedded target of medicine: the architecture of the scenes' target, trained on VQA-RAD's questions.

It learns from the images that `vqa_rad_by_image` keeps for training, and knows no other word than theirs. The data are
read from the folder ANYPREFER_DATA names.

    build_radiology(seed=0).save(Path("models/radiology"))
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from anyprefer.core.pictures import opened
from anyprefer.core.task import Task
from anyprefer.models.local.lite0 import Lite0Tower, Lite0TowerConfig
from anyprefer.models.local.weights import default_dtype
from anyprefer.training.bases.fitting import fit
from anyprefer.training.bases.packed_turns import IGNORED, IMAGE_TOKENS
from anyprefer.training.bases.scene_words import ANSWER, BEGIN, END, IMAGE, PAD, word_processor
from anyprefer.training.bases.scenes import BuiltTarget, new_target
from anyprefer.training.evaluation.families import FAMILIES

STEPS = 700
_ROWS = 32
"""Questions a step."""
_ALL = 100_000
_WORD = re.compile(r"[^\s.,?]+|[.,?]")


def build_radiology(seed: int, steps: int = STEPS) -> BuiltTarget:
    """Trains the target of this seed from scratch. Raises `InputError` without the data."""
    begun = time.process_time()
    tasks = FAMILIES["vqa_rad_by_image"].make(_ALL, seed, "train")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        builder = _Builder(tasks, seed)
        builder.train(steps)
    told: dict[str, float] = {
        "seed": seed,
        "steps": steps,
        "rows": len(tasks),
        "cpu_seconds": round(time.process_time() - begun),
    }
    return BuiltTarget(builder.model, builder.processor, told)


def words_of(tasks: Sequence[Task]) -> list[str]:
    """The words of questions and answers in small letters, in the order of the alphabet."""
    texts = (text.lower() for task in tasks for text in (task.question, str(task.reference)))
    return sorted({word for text in texts for word in _WORD.findall(text)})


class _Builder:
    """The model in the making."""

    def __init__(self, tasks: Sequence[Task], seed: int) -> None:
        tower = Lite0TowerConfig()
        self.processor = word_processor(tower, words_of(tasks))
        self.model = new_target(tower, self.processor.tokenizer)
        self._tower: Lite0Tower = self.model.model.vision_tower
        self._rng = random.Random(seed)
        self._rows = [self._row(task) for task in tasks]
        names = list(dict.fromkeys(task.images[0] for task in tasks))
        self._at = [names.index(task.images[0]) for task in tasks]
        self._features = torch.cat([self._seen(name) for name in names])  # (N, 64, 272)

    @torch.no_grad()
    def _seen(self, image: str) -> torch.Tensor:
        pixels = self.processor.image_processor([opened(image)], return_tensors="pt")["pixel_values"]
        found: torch.Tensor = self._tower.frozen_encoder(pixels)
        return found.float()

    def _row(self, task: Task) -> tuple[list[int], int]:
        """Token ids, and how many of the last ones are the answer's."""
        tokenizer = self.processor.tokenizer
        begin, end, image, answer = (tokenizer.convert_tokens_to_ids(one) for one in (BEGIN, END, IMAGE, ANSWER))
        read, written = (
            tokenizer.encode(text, add_special_tokens=False) for text in (task.question, str(task.reference))
        )
        return [begin, *[image] * IMAGE_TOKENS, *read, answer, *written, end], len(written) + 1

    def train(self, steps: int) -> None:
        """Adapter, projector and language model together."""
        body, half = self.model.model, default_dtype("cpu") == "bfloat16"

        def loss() -> torch.Tensor:
            drawn = self._rng.choices(range(len(self._rows)), k=_ROWS)
            ids, labels = self._batch([self._rows[at] for at in drawn])
            tokens = self._tower(self._features[[self._at[at] for at in drawn]]).last_hidden_state
            seen = body.multi_modal_projector(tokens)  # (B, 16, D)
            embedded = body.language_model.embed_tokens(ids)  # (B, T, D)
            embedded = torch.cat([embedded[:, :1], seen, embedded[:, 1 + IMAGE_TOKENS :]], dim=1)
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                hidden = body.language_model(inputs_embeds=embedded, use_cache=False).last_hidden_state
            answers = labels != IGNORED
            return cross_entropy(self.model.lm_head(hidden[answers].float()), labels[answers])

        layers = (self._tower.adapter, body.language_model, body.multi_modal_projector)
        fit("questions", [one for layer in layers for one in layer.parameters()], loss, steps, 1e-3)

    def _batch(self, rows: Sequence[tuple[list[int], int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and labels, (B, T), filled up on the right, where nothing that counts looks; a label is the next token."""
        pad: Any = self.processor.tokenizer.convert_tokens_to_ids(PAD)
        width = max(len(ids) for ids, _ in rows)
        whole = torch.full((len(rows), width), pad)
        labels = torch.full((len(rows), width), IGNORED)
        for at, (ids, answer) in enumerate(rows):
            whole[at, : len(ids)] = torch.tensor(ids)
            labels[at, len(ids) - answer - 1 : len(ids) - 1] = torch.tensor(ids[-answer:])
        return whole, labels
