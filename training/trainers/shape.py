"""A base model and its adapter, counted: built on torch's meta device, so no weight is read.

read_shape("llava-hf/llava-1.5-7b-hf", ImageTrainSettings()).parameters
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.local.adapters import adapter_base
from anyprefer.models.local.configurations import config_at, is_original_llava
from anyprefer.models.local.model_files import model_source
from anyprefer.training.trainers.dpo import lora_config
from anyprefer.training.trainers.settings import ImageTrainSettings, TrainSettings

_LLAMA_2_7B = {"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
               "intermediate_size": 11008, "vocab_size": 32000, "max_position_embeddings": 4096}  # fmt: skip
_MISTRAL_7B = {"model_type": "mistral", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
               "num_key_value_heads": 8, "intermediate_size": 14336, "max_position_embeddings": 32768}  # fmt: skip
KNOWN: dict[str, dict[str, Any]] = {
    **{f"meta-llama/Llama-2-7b{chat}-hf": _LLAMA_2_7B for chat in ("", "-chat")},
    # the tower and its tokens are LlavaConfig's own: CLIP ViT-L/14 at 336 pixels
    "llava-hf/llava-1.5-7b-hf": {"model_type": "llava", "text_config": {**_LLAMA_2_7B, "vocab_size": 32064}},
    "microsoft/llava-med-v1.5-mistral-7b": {"model_type": "llava", "text_config": {**_MISTRAL_7B, "vocab_size": 32001}},
}
"""The paper's targets: Llama-2's files are given to those alone who signed its licence, and an estimate needs none.
LLaVA-Med's vocabulary has one token more than its checkpoint, `<image>`, as it is loaded here."""
SIDE = 672
"""Pixels of an image's side where a model takes images of any size; an assumption."""


@dataclass(frozen=True)
class Sight:
    """What a model sees with."""

    tower: int
    """The vision tower's parameters."""
    patches: int
    """Tokens of an image in the tower."""
    tokens: int
    """Tokens of an image in the language model."""
    width: int
    """Numbers of a patch's features."""


@dataclass(frozen=True)
class Shape:
    """A base model and its adapter, counted."""

    config: Any
    """The text model's configuration."""
    parameters: int
    lookup: int
    """Parameters of an input embedding of its own: looked up, never multiplied with."""
    lora: int
    adapter: bool
    """Whether the base is an adapter's folder, whose training continues."""
    sight: Sight | None = None
    """None of a text model."""
    projector: int = 0
    """Parameters of the projector, where it is trained."""

    @property
    def multiplied(self) -> int:
        """N: the base's parameters that every token is multiplied with."""
        return self.parameters - self.lookup - (self.sight.tower if self.sight else 0)


def read_shape(base: str, settings: TrainSettings) -> Shape:
    """Counts `base`, a model as `train` takes it. Raises `ModelSetupError` for one whose configuration cannot be loaded."""
    from peft import PeftConfig, get_peft_model

    under = adapter_base(base)
    config = _config(under or base)
    model = _on_meta(base, config, isinstance(settings, ImageTrainSettings))
    parameters = _count(model)
    tied = model.get_input_embeddings().weight is getattr(model.get_output_embeddings(), "weight", None)
    lookup = 0 if tied else model.get_input_embeddings().weight.numel()
    sight, fresh, projector = None, None, ""
    if isinstance(settings, ImageTrainSettings):
        from anyprefer.training.trainers.image_training import image_lora, trained_projector

        projector = trained_projector(model, settings, base)
        sight, fresh = _sight(model), image_lora(model, settings, projector)
    trained = _count(model.get_submodule(projector)) if projector else 0
    lora = PeftConfig.from_pretrained(base) if under else fresh or lora_config(settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the libraries' words to each other
        joined = get_peft_model(model, lora, low_cpu_mem_usage=True)
    adapted = sum(weight.numel() for name, weight in joined.named_parameters() if "lora_" in name)
    return Shape(config.get_text_config(), parameters, lookup, adapted, under is not None, sight, trained)


def _config(base: str) -> Any:
    from transformers import AutoConfig

    if base in KNOWN:
        return AutoConfig.for_model(**KNOWN[base])
    try:
        source = model_source(base)
        written = config_at(base, source)
        if is_original_llava(written):
            from anyprefer.models.local.llava_original import configuration

            return configuration(written, source)
        return AutoConfig.from_pretrained(source, trust_remote_code=False)
    except (ModelSetupError, OSError, ValueError) as error:
        raise ModelSetupError(
            f"the configuration of {base!r} cannot be loaded; name a folder with a config.json, or one of "
            f"{', '.join(KNOWN)} ({str(error).strip().splitlines()[0][:200]})"
        ) from error


def _on_meta(base: str, config: Any, sees: bool) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    auto: Any = AutoModelForImageTextToText if sees else AutoModelForCausalLM  # its from_config has no annotations
    try:
        with torch.device("meta"):
            return auto.from_config(config)
    except ValueError as error:
        kind, other = ("model that sees", "text_dpo") if sees else ("text model", "image_dpo")
        raise ModelSetupError(
            f"{base!r} is no {kind}, so its size cannot be estimated for this trainer; try --trainer {other} ({str(error)[:120]})"
        ) from error


def _sight(model: Any) -> Sight:
    """Patches and tokens of one image, of a fixed size or `SIDE` pixels wide and high."""
    language, head = model.get_decoder(), model.get_output_embeddings()
    projector = _projector(model)
    spoken = {id(weight): weight.numel() for module in (language, head, projector) for weight in module.parameters()}
    vision = model.config.vision_config
    side: int = (getattr(vision, "image_size", None) or SIDE) // vision.patch_size
    merged = int(getattr(vision, "spatial_merge_size", 0) or getattr(model.config, "scale_factor", 1) or 1)
    tokens: int = getattr(model.config, "image_seq_length", None) or (side // merged) ** 2
    width: int = getattr(vision, "embed_dim", None) or vision.hidden_size
    return Sight(_count(model) - sum(spoken.values()), side**2, tokens, width)


def _projector(model: Any) -> Any:
    from anyprefer.training.trainers.image_features import projector_name

    return model.get_submodule(projector_name(model))


def _count(module: Any) -> int:
    return sum(weight.numel() for weight in module.parameters())
