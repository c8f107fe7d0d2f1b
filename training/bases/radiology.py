"""Builds the embedded target of medicine: the architecture of the scenes' target, trained on VQA-RAD's questions.

It learns from the images of the split `base` (`medical_families.py`), and knows no other words than theirs and `train`'s. The
data are read from the folder ANYPREFER_DATA names. A picture's questions are packed as those of scenes are; beside VQA-RAD's own
each picture is asked how it was made and what it shows (`radiology_questions.py`).

    build_radiology(seed=0).save(Path("models/radiology"))
"""

from __future__ import annotations

import random
import re
import time
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch.nn.functional import cross_entropy

from anyprefer.core.pictures import opened
from anyprefer.core.task import Task
from anyprefer.models.local.lite0 import Lite0Tower, Lite0TowerConfig
from anyprefer.models.local.weights import default_dtype
from anyprefer.tools.vision.radiology_kinds import MODALITY, ORGAN
from anyprefer.training.bases.fitting import fit
from anyprefer.training.bases.packed_questions import PREFIX, Block, QuestionPacker
from anyprefer.training.bases.packed_turns import IGNORED
from anyprefer.training.bases.radiology_index import build_index
from anyprefer.training.bases.radiology_questions import MADE_TEXTS, Known, made_question
from anyprefer.training.bases.scene_words import word_processor
from anyprefer.training.bases.scenes import BuiltTarget, new_target
from anyprefer.training.evaluation.medical_families import base_questions

STEPS = 450
_PICTURES, _QUESTIONS = 8, 6
"""A step, and of each picture."""
_MADE = 0.25
"""Share of the questions that are made."""
_WORD = re.compile(r"[^\s.,?]+|[.,?]")


def build_radiology(seed: int, steps: int = STEPS) -> BuiltTarget:
    """Trains the target of this seed from scratch. Raises `InputError` without the data."""
    begun = time.process_time()
    tasks = base_questions("base")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        builder = _Builder(tasks, seed)
        builder.train(steps)
    told: dict[str, float] = {
        "seed": seed,
        "steps": steps,
        "questions": len(tasks),
        "cpu_seconds": round(time.process_time() - begun),
    }
    return BuiltTarget(builder.model, builder.processor, told)


def words_of(texts: Sequence[str]) -> list[str]:
    """Their words in small letters, in the order of the alphabet."""
    return sorted({word for text in texts for word in _WORD.findall(text.lower())})


class _Builder:
    """The model in the making."""

    def __init__(self, tasks: Sequence[Task], seed: int) -> None:
        tower = Lite0TowerConfig()
        spoken = base_questions("base", "train")  # what it is asked later is no <unk>
        texts = [text for task in spoken for text in (task.question, str(task.reference))]
        self.processor = word_processor(tower, words_of([*texts, *MADE_TEXTS]))
        self.model = new_target(tower, self.processor.tokenizer)
        self._tower: Lite0Tower = self.model.model.vision_tower
        index = build_index()
        self._packer, self._rng = QuestionPacker(self.processor.tokenizer), random.Random(seed)
        asked: dict[str, list[Block]] = defaultdict(list)
        for task in tasks:
            asked[task.images[0]].append(self._packer.block(task.question, str(task.reference)))
        self._asked = list(asked.values())
        self._features = torch.cat([self._seen(image) for image in asked])  # (N, 64, 272)
        looks = [index.look(image) for image in asked]
        self._known = [Known(index.probed(MODALITY.name, one)[0], index.probed(ORGAN.name, one)[0]) for one in looks]

    @torch.no_grad()
    def _seen(self, image: str) -> torch.Tensor:
        pixels = self.processor.image_processor([opened(image)], return_tensors="pt")["pixel_values"]
        found: torch.Tensor = self._tower.frozen_encoder(pixels)
        return found.float()

    def train(self, steps: int) -> None:
        """Adapter, projector and language model together."""
        body, half = self.model.model, default_dtype("cpu") == "bfloat16"
        body.language_model.set_attn_implementation("eager")  # a quarter faster than sdpa with such a mask
        weights = [len(blocks) for blocks in self._asked]

        def loss() -> torch.Tensor:
            drawn = self._rng.choices(range(len(self._asked)), weights, k=_PICTURES)
            batch = self._packer.batch([self._questions(at) for at in drawn])
            seen = body.multi_modal_projector(self._tower(self._features[drawn]).last_hidden_state)  # (B, 16, D)
            embedded = body.language_model.embed_tokens(batch.ids)  # (B, T, D)
            embedded = torch.cat([embedded[:, :1], seen, embedded[:, PREFIX:]], dim=1)
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                hidden = body.language_model(
                    inputs_embeds=embedded, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False
                ).last_hidden_state
            answers = batch.labels != IGNORED
            return cross_entropy(self.model.lm_head(hidden[answers].float()), batch.labels[answers])

        layers = (self._tower.adapter, body.language_model, body.multi_modal_projector)
        fit("questions", [one for layer in layers for one in layer.parameters()], loss, steps, 1e-3)

    def _questions(self, at: int) -> list[Block]:
        return [self._question(at) for _ in range(_QUESTIONS)]

    def _question(self, at: int) -> Block:
        if self._rng.random() < _MADE:
            return self._packer.block(*made_question(self._known[at], self._rng))
        return self._rng.choice(self._asked[at])
