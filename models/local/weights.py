"""Loads a causal language model into this process: weights, tokenizer, adapter, device and number format.

Used for sampling (`LocalChat`, adapter merged) and for training (adapter kept apart).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.local.adapters import adapter_base, check_finite, with_adapter
from anyprefer.models.local.model_files import model_source

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DTYPE = "ANYPREFER_DTYPE"
"""Environment variable: the number format of local models where no setting names one."""


@dataclass(frozen=True)
class Weights:
    """A loaded model with its tokenizer."""

    model: Any
    """transformers PreTrainedModel, or peft PeftModel when an adapter was kept apart."""
    tokenizer: Any
    adapter: bool
    """Whether the description was an adapter folder."""


def load_weights(
    spec: str, *, dtype: str = "", device: str = "", merge: bool = True, trust_remote_code: bool = False
) -> Weights:
    """Load `spec`: `smollm2`, a hub id, a model folder, or an adapter folder (its base is loaded too).

    `merge` adds an adapter's matrices into the weights, in float32 before the cast to `dtype`, so
    that sampling costs nothing extra; without it the adapter stays trainable on its own.
    Raises `ModelSetupError` for a missing folder or unknown model, weights that are missing, do not fit or hold
    NaN or infinity.
    """
    place = device or default_device()
    kind = _torch_dtype(dtype or default_dtype(place))
    base = adapter_base(spec)
    source = model_source(base or spec)
    tokenizer = _tokenizer(base or spec, source, trust_remote_code)
    model = _model(base or spec, source, torch.float32 if base and merge else kind, trust_remote_code)
    if base:
        model = with_adapter(model, spec, merge)
    model = model.to(kind) if base and merge else model
    return Weights(model=model.to(place), tokenizer=tokenizer, adapter=base is not None)


def load_tokenizer(spec: str, trust_remote_code: bool = False) -> Any:
    """The tokenizer `load_weights` gives with `spec`, without any weights."""
    base = adapter_base(spec) or spec
    return _tokenizer(base, model_source(base), trust_remote_code)


def _tokenizer(spec: str, source: Path | str, trust_remote_code: bool) -> Any:
    with _named(spec):
        tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left", trust_remote_code=trust_remote_code)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _model(spec: str, source: Path | str, dtype: torch.dtype, trust_remote_code: bool) -> Any:
    auto: Any = AutoModelForCausalLM  # its annotations leave out the loading info
    with _named(spec):
        model, found = auto.from_pretrained(
            source, dtype=dtype, use_safetensors=True, trust_remote_code=trust_remote_code, output_loading_info=True
        )
    for what in ("missing_keys", "mismatched_keys"):
        if names := sorted(map(str, found.get(what) or ())):
            raise ModelSetupError(
                f"the weights of model {spec!r} do not fit its config.json: {what.replace('_', ' ')} {names[0]} "
                f"({len(names)} in all)"
            )
    check_finite(model.named_parameters(), f"model {spec!r}")
    return model


@contextmanager
def _named(spec: str) -> Iterator[None]:
    """An error of transformers' as one that names the model."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # a broken folder makes it raise a dozen types
        lines = str(error).strip().splitlines() or [""]
        raise ModelSetupError(
            f"cannot load model {spec!r}: it is neither a folder with safetensors weights nor a model the "
            f"Hugging Face hub gives us; check the spelling, or use `smollm2` ({type(error).__name__}: {lines[0][:200]})"
        ) from error


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
