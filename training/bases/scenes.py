"""Builds the embedded target that sees: LLaVA of a frozen EfficientNet-Lite0 and a small Llama trained here.

Three stages, each a number of steps so that every machine does the same work:

1. the tower's adapter learns the colour and shape of each cell;
2. the projector learns to lay each image token near the embeddings of its words. This decides: with a learning rate of
   3e-3 in place of 1e-3 it is a lottery, and behind a bad one descriptions and questions are never learned;
3. language model and projector learn to describe (with the language prior of `scenes/captions.py`) and to answer.

    build_scenes(seed=0).save(Path("models/scenes"))
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from anyprefer.core.errors import TrainingError
from anyprefer.core.scene_labels import COLOURS, SHAPES
from anyprefer.models.local.lite0 import Lite0Tower, Lite0TowerConfig
from anyprefer.models.local.lite0_weights import pretrained_encoder
from anyprefer.models.local.weights import default_dtype
from anyprefer.training.bases.fitting import fit
from anyprefer.training.bases.packed_turns import IGNORED, IMAGE_TOKENS, Packer
from anyprefer.training.bases.scene_pool import WORDS, cell_words, scene_pool, token_words
from anyprefer.training.bases.scene_words import ANSWER, BEGIN, END, IMAGE, PAD, UNKNOWN, scene_processor

STEPS = 2000
"""Steps of the third stage; the others have 20% and 30% of it, and two pictures a step are drawn to learn from."""
_RECALL = 0.7
"""Share of their words that image tokens must name after the second stage."""
_LOUDER = 3.5
"""Times the usual size of word embeddings: of length 1, as what the projector lays beside them."""
_PICTURES = 16
"""A step of the third stage; the first two take four times as many."""


@dataclass(frozen=True)
class BuiltTarget:
    """A trained target, not yet on disk."""

    model: Any
    processor: Any
    told: dict[str, float]
    """How it was built."""

    def save(self, folder: Path) -> None:
        """Model, processor and `build.json` into a new folder."""
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)
        (folder / "build.json").write_text(json.dumps(self.told) + "\n", encoding="utf-8")


def build_scenes(seed: int, steps: int = STEPS) -> BuiltTarget:
    """Trains the target of this seed from scratch.

    Fewer `steps` than `STEPS` make a toy that nothing is checked of. Raises `TrainingError` where the second stage fails.
    """
    begun = time.process_time()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        builder = _Builder(seed, steps)
        recall = builder.build()
    told = {"seed": seed, "steps": steps, "word_recall": recall, "cpu_seconds": round(time.process_time() - begun)}
    return BuiltTarget(builder.model, builder.processor, told)


class _Builder:
    """The model in the making."""

    def __init__(self, seed: int, steps: int) -> None:
        tower = Lite0TowerConfig()
        self.processor = scene_processor(tower)
        self.model = new_target(tower, self.processor.tokenizer)
        self._tower: Lite0Tower = self.model.model.vision_tower
        self._steps, self._rng = steps, random.Random(seed)
        self._pool = scene_pool(self._tower.frozen_encoder, "base", seed, range(2 * steps))

    def build(self) -> float:
        """All stages; returns how many of their words the image tokens name."""
        self._see()
        with torch.no_grad():
            parts = torch.split(self._pool.features, 256)
            self._tokens = torch.cat([self._tower(part.float()).last_hidden_state for part in parts])
        recall = self._name()
        if recall < _RECALL and self._steps >= STEPS:
            raise TrainingError(
                f"the image tokens name {recall:.2f} of their words, less than {_RECALL}: questions would not be learned; "
                "build another seed"
            )
        self._talk()
        return recall

    def _drawn(self, size: int) -> list[int]:
        return self._rng.choices(range(len(self._pool.scenes)), k=size)

    def _see(self) -> None:
        """Stage 1: the adapter, by two heads that are thrown away."""
        words = torch.stack([cell_words(one) for one in self._pool.scenes])
        size = self._tower.config.hidden_size // 4
        heads = torch.nn.ModuleList([torch.nn.Linear(size, len(kind) + 1) for kind in (COLOURS, SHAPES)])

        def loss() -> torch.Tensor:
            drawn = self._drawn(4 * _PICTURES)
            cells = self._tower.cells(self._pool.features[drawn].float())
            colour, shape = (head(cells).flatten(0, 1) for head in heads)
            return cross_entropy(colour, words[drawn, :, 0].flatten()) + cross_entropy(
                shape, words[drawn, :, 1].flatten()
            )

        trained = [*self._tower.adapter.parameters(), *heads.parameters()]
        fit("1 of 3: cells", trained, loss, max(1, self._steps // 5), 3e-3)

    def _name(self) -> float:
        """Stage 2: the projector; the share of words that are named afterwards."""
        words = torch.stack([token_words(one) for one in self._pool.scenes])
        ids = self.processor.tokenizer.convert_tokens_to_ids(list(WORDS))
        embedded = self.model.get_input_embeddings().weight[ids].detach()

        def logits(drawn: list[int]) -> torch.Tensor:
            projected: torch.Tensor = self.model.model.multi_modal_projector(self._tokens[drawn])
            found: torch.Tensor = projected @ embedded.T
            return found

        def loss() -> torch.Tensor:
            drawn = self._drawn(4 * _PICTURES)
            return binary_cross_entropy_with_logits(logits(drawn), words[drawn])

        fit(
            "2 of 3: words",
            self.model.model.multi_modal_projector.parameters(),
            loss,
            max(1, 3 * self._steps // 10),
            1e-3,
        )
        with torch.no_grad():
            asked = list(range(min(500, len(words))))
            named = (logits(asked) > 0) & (words[asked] > 0)
        return float(named.sum() / words[asked].sum())

    def _talk(self) -> None:
        """Stage 3: language model and projector."""
        body, packer = self.model.model, Packer(self.processor.tokenizer)
        half = default_dtype("cpu") == "bfloat16"
        body.language_model.set_attn_implementation("eager")  # a quarter faster than sdpa with such a mask

        def loss() -> torch.Tensor:
            drawn = self._drawn(_PICTURES)
            ids, labels = packer.batch([self._pool.scenes[at] for at in drawn], self._rng)
            embedded = body.language_model.embed_tokens(ids)  # (B, T, D)
            seen = body.multi_modal_projector(self._tokens[drawn])  # (B, 16, D)
            embedded = torch.cat([embedded[:, :1], seen, embedded[:, 1 + IMAGE_TOKENS :]], dim=1)
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                hidden = body.language_model(
                    inputs_embeds=embedded, attention_mask=packer.mask, position_ids=packer.positions, use_cache=False
                ).last_hidden_state
            answers = labels != IGNORED
            return cross_entropy(self.model.lm_head(hidden[answers].float()), labels[answers])

        trained = [*body.language_model.parameters(), *body.multi_modal_projector.parameters()]
        fit("3 of 3: words and pictures", trained, loss, self._steps, 1e-3)


def new_target(tower: Lite0TowerConfig, tokenizer: Any) -> Any:
    """An untrained `LlavaForConditionalGeneration` of 1.5 million parameters around the pretrained encoder."""
    from transformers import LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    names = {"pad_token_id": PAD, "bos_token_id": BEGIN, "eos_token_id": END}
    special = {name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()}
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        **special,
    )
    config = LlavaConfig(
        vision_config=tower,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=IMAGE_TOKENS,
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
        tie_word_embeddings=True,
        **special,
    )
    model = LlavaForConditionalGeneration(config)
    model.model.vision_tower.frozen_encoder.load_state_dict(pretrained_encoder().state_dict())
    with torch.no_grad():
        model.get_input_embeddings().get_parameter("weight").mul_(_LOUDER)
    for name, at in special.items():
        setattr(model.generation_config, name, at)
    never = (PAD, UNKNOWN, BEGIN, IMAGE, ANSWER)
    model.generation_config.suppress_tokens = [tokenizer.convert_tokens_to_ids(token) for token in never]
    return model
