"""Loads a causal language model into this process: weights, tokenizer, adapter, device and number format.

Used for sampling (`LocalChat`, adapter merged) and for training (adapter kept apart).
"""

from __future__ import annotations

import json
import math
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from anyprefer.graph.errors import ModelSetupError
from anyprefer.graph.models import smollm2

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


def adapter_base(spec: str) -> str | None:
    """The base an adapter folder was trained on, as recorded in it; None when `spec` is no adapter folder."""
    file = Path(spec) / "adapter_config.json"
    if not file.is_file():
        return None
    try:
        base = json.loads(file.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError) as error:
        raise ModelSetupError(f"{file} cannot be read: {error}") from error
    if not base:
        raise ModelSetupError(f"{file} names no base model; add its base_model_name_or_path")
    return str(base)


def load_weights(
    spec: str, *, dtype: str = "", device: str = "", merge: bool = True, trust_remote_code: bool = False
) -> Weights:
    """Load `spec`: `smollm2`, a hub id, a model folder, or an adapter folder (its base is loaded too).

    `merge` adds an adapter's matrices into the weights, in float32 before the cast to `dtype`, so
    that sampling costs nothing extra; without it the adapter stays trainable on its own.
    Raises `ModelSetupError` for a missing folder or unknown model.
    """
    place = device or default_device()
    kind = _torch_dtype(dtype or default_dtype(place))
    base = adapter_base(spec)
    model, tokenizer = _load(base or spec, torch.float32 if base and merge else kind, trust_remote_code)
    if base:
        model = _with_adapter(model, spec, merge)
    model = model.to(kind) if base and merge else model
    return Weights(model=model.to(place), tokenizer=tokenizer, adapter=base is not None)


def _with_adapter(model: Any, folder: str, merge: bool) -> Any:
    from peft import PeftModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft's use of a name transformers will drop
        joined = PeftModel.from_pretrained(model, folder, is_trainable=not merge)
    if not merge:
        return joined
    # peft froze the weights, and torch multiplies frozen bfloat16 weights several times more slowly on a CPU
    return joined.merge_and_unload().requires_grad_(True)


def _load(spec: str, dtype: torch.dtype, trust_remote_code: bool) -> tuple[Any, Any]:
    where = smollm2.smollm2_folder() if spec == smollm2.NAME else spec
    if Path(where).is_dir() and not (Path(where) / "config.json").is_file():
        raise ModelSetupError(f"folder {where} holds no model: neither config.json nor adapter_config.json is there")
    try:
        tokenizer = AutoTokenizer.from_pretrained(where, padding_side="left", trust_remote_code=trust_remote_code)
        model = AutoModelForCausalLM.from_pretrained(
            where, dtype=dtype, use_safetensors=True, trust_remote_code=trust_remote_code
        )
    except (OSError, ValueError, ImportError) as error:
        raise ModelSetupError(
            f"cannot load model {spec!r}: it is neither a folder with safetensors weights nor a model the "
            f"Hugging Face hub gives us; check the spelling, or use `smollm2` ({type(error).__name__}: "
            f"{str(error).strip().splitlines()[0][:200]})"
        ) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


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
