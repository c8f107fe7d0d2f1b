"""DPO on pairs with images: TRL's DPOTrainer over rows that are token ids, with images beside them.

The vision tower is frozen, and what it makes of each image computed once where the architecture lets it
(`image_features.py`). LoRA is put on the linear layers of the language model alone; the projector is trained whole
(`modules_to_save`), in float32 and at a rate of its own. The reference is computed once, before the first step, as for
texts: TRL refuses that for rows it would have to read images for at every step, which ours are not.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import nn
from trl.trainer.dpo_trainer import DataCollatorForPreference

from anyprefer.core.errors import TrainingError
from anyprefer.models.local.weights import Weights, load_processor
from anyprefer.training.trainers.answers_only import AnswersTrainer
from anyprefer.training.trainers.dpo import Texts
from anyprefer.training.trainers.image_features import (
    FromPixels,
    Remembered,
    projector_name,
    read_features,
    remember,
)
from anyprefer.training.trainers.image_rows import TYPES, ImageRows
from anyprefer.training.trainers.processes import on_cpu
from anyprefer.training.trainers.settings import ImageTrainSettings

_log = logging.getLogger("anyprefer")
CLOSE = 2e-2
"""How far logits of kept features may be from those of pixels, as a share of the largest: bfloat16's rounding."""


class ImageTrainer(AnswersTrainer):
    """An AnswersTrainer whose projector has a rate of its own."""

    def __init__(self, *args: Any, projector_rate: float, **kwargs: Any) -> None:
        self._projector_rate = projector_rate
        super().__init__(*args, **kwargs)

    def create_optimizer(self, *args: Any) -> Any:
        """TRL's, the projector's weights in groups of their own."""
        optimizer = super().create_optimizer(*args)
        model: Any = self.model
        projector = {id(weight) for name, weight in model.named_parameters() if "modules_to_save" in name}
        for group in list(optimizer.param_groups):
            own = [weight for weight in group["params"] if id(weight) in projector]
            if own:
                group["params"] = [weight for weight in group["params"] if id(weight) not in projector]
                optimizer.add_param_group({**group, "params": own, "lr": self._projector_rate})
        return optimizer


class ImageCollator(DataCollatorForPreference):
    """Token ids as TRL pads them, and the images of the rows."""

    def __init__(self, pad: int, images: FromPixels | Remembered) -> None:
        super().__init__(pad_token_id=pad)
        self.images = images

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """As TRL's, (2 rows, tokens): chosen, then rejected."""
        batch: dict[str, Any] = super().torch_call(examples)
        for name in (name for name in TYPES if name in examples[0]):
            batch[name] = torch.zeros_like(batch["input_ids"])
            for row, example in enumerate(examples * 2):
                batch[name][row, : len(example[name])] = torch.tensor(example[name])
        return {**batch, **self.images.batch([example["pictures"] for example in examples])}


class Images(Texts):
    """How pairs with images are trained on; some may have none."""

    trainer = ImageTrainer
    settings: ImageTrainSettings

    def check(self, rows: Sequence[dict[str, Any]]) -> None:
        """Raises `TrainingError` for a model that does not see."""
        self._processor = load_processor(self.base)
        if self._processor is None:
            raise TrainingError(f"{self.base} does not see; train it on texts with the trainer text_dpo")

    def tokenised(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """As ids with the tokens of images, and the hashes of the images."""
        reader = ImageRows(self._processor, self.settings.max_length, self.base)
        self._rows = reader.tokenised(rows)
        self._sources = {picture: reader.sources[picture] for row in self._rows for picture in row["pictures"]}
        return self._rows

    def arguments(self) -> dict[str, Any]:
        """Nothing is cut, and a batch without images leaves the projector without gradients."""
        return {"max_length": None, "ddp_find_unused_parameters": True}

    def parts(self, weights: Weights, reference: Any, scratch: Path) -> dict[str, Any]:
        """Processor, collator, adapter and the projector's rate."""
        model = weights.model.get_base_model() if weights.adapter else weights.model
        if on_cpu():
            # torch's fused attention takes several times longer backwards there; no upstream issue known
            model.get_decoder().set_attn_implementation("eager")
        projector = trained_projector(model, self.settings, self.base)
        images = self._images(model, projector, reference, scratch)
        if projector:
            _in_float32(weights.model if weights.adapter else None, model.get_submodule(projector), self.base)
        return {
            "processing_class": weights.processor,
            "data_collator": ImageCollator(weights.tokenizer.pad_token_id, images),
            "peft_config": None if weights.adapter else image_lora(model, self.settings, projector),
            "projector_rate": self.settings.projector_rate,
        }

    def _images(self, model: Any, projector: str, reference: Any, scratch: Path) -> FromPixels | Remembered:
        """Features that are kept, where they do what pixels do."""
        pixels = FromPixels(self._processor, self._sources, model.dtype)
        if not self._sources:
            return pixels
        try:
            read_features(model, projector)
            kept = remember(model, self._processor, self._sources, projector, scratch)
            self._compare(model, pixels, kept)
        except Exception as error:  # whatever an architecture makes of inputs that it does not know
            _log.warning(
                "the vision tower of %s runs at every step: its features cannot be kept (%s: %s)",
                self.base, type(error).__name__, str(error).splitlines()[0] if str(error) else "",
            )  # fmt: skip
            return pixels
        if reference is not None:
            read_features(reference, projector)
        return kept

    def _compare(self, model: Any, pixels: FromPixels, kept: Remembered) -> None:
        """Raises `ValueError` where the logits of the first pair with an image depend on the way."""
        row = next(row for row in self._rows if row["pictures"])
        pad = self._processor.tokenizer.pad_token_id
        stock, ours = (_logits(model, ImageCollator(pad, images)([row])) for images in (pixels, kept))
        if not (stock - ours).abs().max() <= CLOSE * stock.abs().max():
            raise ValueError("its logits are others with them")


@torch.no_grad()
def _logits(model: Any, batch: Mapping[str, Any]) -> torch.Tensor:
    inputs = {name: _on(value, model.device) for name, value in batch.items() if name != "completion_mask"}
    logits: torch.Tensor = model(**inputs).logits.float()
    return logits


def _on(value: Any, device: Any) -> Any:
    return [one.to(device) for one in value] if isinstance(value, list) else value.to(device)


def trained_projector(model: Any, settings: ImageTrainSettings, base: str) -> str:
    """The name of the projector, empty where it is not trained. Raises `TrainingError` where it is to be and there is
    none."""
    name = projector_name(model) if settings.projector_rate else ""
    if settings.projector_rate and not name:
        raise TrainingError(
            f"no projector is found in {base}; set projector_rate to 0 to train its language model alone"
        )
    return name


def image_lora(model: Any, settings: ImageTrainSettings, projector: str) -> LoraConfig:
    """A fresh adapter's shape: matrices on the language model's linear layers, and the projector whole."""
    language = model.get_decoder()
    prefix = next(name for name, module in model.named_modules() if module is language)
    linear = {name.rpartition(".")[2] for name, module in language.named_modules() if isinstance(module, nn.Linear)}
    asked = settings.lora_targets
    leaves = sorted(linear) if asked == "all-linear" else [name.strip() for name in asked.split(",")]
    return LoraConfig(
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        target_modules=rf"{re.escape(prefix)}\..*\.({'|'.join(map(re.escape, leaves))})",
        modules_to_save=[projector] if projector else None,
        task_type="CAUSAL_LM",
    )


def _in_float32(adapted: Any, projector: nn.Module, folder: str) -> None:
    """The projector's weights in float32, as LoRA's own are: bfloat16 would lose steps this small. A saved adapter's are
    read again, since they were rounded when they were put on the base."""
    projector.float()
    projector.register_forward_pre_hook(_as_weights)
    if adapted is not None:
        set_peft_model_state_dict(adapted, load_file(Path(folder) / "adapter_model.safetensors"))


def _as_weights(projector: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(one.to(next(projector.parameters()).dtype) for one in given)
