"""What a model's config.json says of it before anything of it is loaded: whether it sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, PreTrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.local.adapters import adapter_base
from anyprefer.models.local.model_files import model_source

LLAVA = {"LlavaMistralForCausalLM": "mistral", "LlavaLlamaForCausalLM": "llama"}
"""Classes of LLaVA's own code, and the language model in them."""


def config_at(spec: str, source: Path | str) -> dict[str, Any]:
    """The config.json in `source` as it stands. Raises `ModelSetupError` where it cannot be read."""
    with named_errors(spec):
        config: dict[str, Any] = PreTrainedConfig.get_config_dict(source)[0]
    return config


def sees(spec: str, source: Path | str) -> bool:
    """Whether the model whose files are in `source` is an image-text-to-text model, by its configuration alone.

    Raises as `config_at` does.
    """
    return takes_pictures(config_at(spec, source))


def known_to_see(spec: str) -> bool:
    """`sees` of a model string; False while there is no such model, which its first call will say."""
    try:
        return _known(spec)
    except ModelSetupError:
        return False


@lru_cache(maxsize=64)
def _known(spec: str) -> bool:
    base = adapter_base(spec) or spec
    return sees(base, model_source(base))


def takes_pictures(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is of an image-text-to-text model."""
    kind = str(config.get("model_type"))
    if is_original_llava(config):
        return True
    if "AutoModelForImageTextToText" in (config.get("auto_map") or {}):
        return True
    if kind not in CONFIG_MAPPING or CONFIG_MAPPING[kind] not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return False
    # some configurations stand for both: the class that was saved decides
    text = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind)
    whole = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.get(kind)
    return text == whole or text not in (config.get("architectures") or ())


def is_original_llava(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is of the layout that LLaVA's own code writes (`llava_original.py`)."""
    return "mm_vision_tower" in config and bool(set(LLAVA) & set(config.get("architectures") or ()))


@contextmanager
def named_errors(spec: str) -> Iterator[None]:
    """An error of transformers' as one that names the model."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except ModelSetupError as error:
        raise ModelSetupError(f"cannot load model {spec!r}: {error}") from error
    except Exception as error:  # a broken folder makes it raise a dozen types
        lines = str(error).strip().splitlines() or [""]
        raise ModelSetupError(
            f"cannot load model {spec!r}: it is neither a folder with safetensors weights nor a model the "
            f"Hugging Face hub gives us; check the spelling, or use `smollm2` ({type(error).__name__}: {lines[0][:200]})"
        ) from error
