"""Loads a language model, or one that sees, into this process: weights, tokenizer, adapter, device and number format.

Used for sampling (`LocalChat`, adapter merged) and for training (adapter kept apart).
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.local.adapters import adapter_base, check_finite, with_adapter
from anyprefer.models.local.configurations import (
    config_at,
    is_original_llava,
    named_errors,
    sees,
    takes_pictures,
)
from anyprefer.models.local.model_files import model_source
from anyprefer.models.local.processors import processor_at

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DTYPE = "ANYPREFER_DTYPE"
"""Environment variable: the number format of local models where no setting names one."""


@dataclass(frozen=True)
class Weights:
    """A loaded model with its tokenizer and, of one that sees, its processor."""

    model: Any
    """transformers PreTrainedModel, or peft PeftModel when an adapter was kept apart."""
    tokenizer: Any
    adapter: bool
    """Whether the description was an adapter folder."""
    processor: Any = None
    """transformers ProcessorMixin of an image-text-to-text model, which holds the same tokenizer; None of a text model."""


def load_weights(
    spec: str, *, dtype: str = "", device: str = "", merge: bool = True, trust_remote_code: bool = False
) -> Weights:
    """Load `spec`: `smollm2`, a hub id, a model folder, or an adapter folder (its base is loaded too).

    Its configuration says whether it is a text or an image-text-to-text model.

    `merge` adds an adapter's matrices into the weights, in float32 before the cast to `dtype`, so
    that sampling costs nothing extra; without it the adapter stays trainable on its own.
    Raises `ModelSetupError` for a missing folder or unknown model, weights that are missing, do not fit or hold
    NaN or infinity.
    """
    place = device or default_device()
    kind = _torch_dtype(dtype or default_dtype(place))
    base = adapter_base(spec)
    source = model_source(base or spec)
    processor = processor_at(base or spec, source, trust_remote_code) if sees(base or spec, source) else None
    tokenizer = processor.tokenizer if processor else _tokenizer(base or spec, source, trust_remote_code)
    model = _model(base or spec, source, torch.float32 if base and merge else kind, trust_remote_code)
    if base:
        model = with_adapter(model, spec, merge)
    model = model.to(kind) if base and merge else model
    return Weights(model.to(place), tokenizer, base is not None, processor)


def load_tokenizer(spec: str, trust_remote_code: bool = False) -> Any:
    """The tokenizer `load_weights` gives with `spec`, without any weights."""
    base = adapter_base(spec) or spec
    source = model_source(base)
    if sees(base, source):
        return processor_at(base, source, trust_remote_code).tokenizer
    return _tokenizer(base, source, trust_remote_code)


def load_processor(spec: str, trust_remote_code: bool = False) -> Any:
    """The processor `load_weights` gives with `spec`, None of a text model, without any weights."""
    base = adapter_base(spec) or spec
    source = model_source(base)
    return processor_at(base, source, trust_remote_code) if sees(base, source) else None


def picture_tokens(weights: Weights) -> set[int]:
    """Ids that stand for a picture or a part of one in a prompt; none of a text model."""
    given: list[Any] = []
    for name in ("image", "video"):
        owners = (weights.processor, weights.model.config)
        given += [getattr(owner, f"{name}_token_id", None) for owner in owners if weights.processor]
        given += getattr(weights.processor, f"{name}_token_ids", [])
    return {token for token in given if isinstance(token, int)}


def _tokenizer(spec: str, source: Path | str, trust_remote_code: bool) -> Any:
    with named_errors(spec):
        tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left", trust_remote_code=trust_remote_code)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _model(spec: str, source: Path | str, dtype: torch.dtype, trust_remote_code: bool) -> Any:
    model, found = _loaded(spec, source, dtype, trust_remote_code)
    for what in ("missing_keys", "mismatched_keys"):
        if names := sorted(map(str, found.get(what) or ())):
            raise ModelSetupError(
                f"the weights of model {spec!r} do not fit its config.json: {what.replace('_', ' ')} {names[0]} "
                f"({len(names)} in all)"
            )
    check_finite(model.named_parameters(), f"model {spec!r}")
    return model


def _loaded(spec: str, source: Path | str, dtype: torch.dtype, trust_remote_code: bool) -> tuple[Any, dict[str, Any]]:
    """The model and transformers' loading info."""
    config = config_at(spec, source)
    auto: Any = AutoModelForImageTextToText if takes_pictures(config) else AutoModelForCausalLM
    with named_errors(spec):
        if is_original_llava(config):
            from anyprefer.models.local.llava_original import model_of  # imports a second of transformers' models

            return model_of(config, source, dtype)
        model, found = auto.from_pretrained(
            source, dtype=dtype, use_safetensors=True, trust_remote_code=trust_remote_code, output_loading_info=True
        )
    return model, found


def _torch_dtype(name: str) -> torch.dtype:
    if name not in _DTYPES:
        raise ModelSetupError(f"unknown dtype {name!r}; choose one of {', '.join(_DTYPES)}")
    return _DTYPES[name]


def default_device() -> str:
    """`cuda`, else `mps`, else `cpu`."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def default_dtype(device: str) -> str:
    """What `ANYPREFER_DTYPE` names; else bfloat16 where the hardware multiplies it natively (twice as fast on such a CPU).

    Raises `ModelSetupError` for a name that is none.
    """
    if named := os.environ.get(DTYPE):
        if named not in _DTYPES:
            raise ModelSetupError(f"{DTYPE} is {named!r}; choose one of {', '.join(_DTYPES)}, or unset it")
        return named
    if device.startswith("cpu"):
        ask = getattr(torch.cpu, "get_capabilities", dict)
        has: dict[str, Any] = ask()
        return "bfloat16" if has.get("amx_bf16") or has.get("avx512_bf16") else "float32"
    if device.startswith("cuda") and not torch.cuda.is_bf16_supported():
        return "float16"
    return "bfloat16"


def use_threads(count: int = 0) -> None:
    """Let torch use `count` threads; 0: as many as this process may really use.

    In a container torch counts the machine's cores, not the share it was given, and becomes many times slower.
    """
    torch.set_num_threads(count or max(1, min(torch.get_num_threads(), _usable_cores())))


def _usable_cores() -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return min(allowed, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        return allowed
