"""LoRA adapters' folders, as peft saves them: which base they belong to, and putting them on it.

What does not fit the base, or holds values that are no numbers, is refused: peft would play the base in silence.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.local import smollm2
from anyprefer.models.local.model_files import model_source

if TYPE_CHECKING:  # a second or more to import, and a base's name is asked for before anything is loaded
    import torch

CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"


def model_or_base_source(spec: str) -> Path | str:
    """`model_source` of a model, or of an adapter's base: raises `ModelSetupError` before anything is imported."""
    return model_source(adapter_base(spec) or spec)


def public_name(base: str) -> str:
    """A base as others can load it: the embedded model by its hub id."""
    return smollm2.HUB_ID if base == smollm2.NAME else base


def adapter_base(spec: str) -> str | None:
    """The base an adapter folder was trained on, as recorded in it; None when `spec` is no adapter folder.

    The embedded model's hub id is `smollm2` here, so that it is found without a network.
    Raises `ModelSetupError` for a configuration that cannot be used.
    """
    file = Path(spec) / CONFIG
    if not file.is_file():
        return None
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelSetupError(f"{file} cannot be read: {error}") from error
    base = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    if not isinstance(base, str) or not base:
        raise ModelSetupError(f"{file} names no base model; add its base_model_name_or_path")
    if config.get("megatron_config"):
        raise ModelSetupError(f"{file} names a module to import (megatron_core); remove megatron_config from it")
    return smollm2.NAME if base == smollm2.HUB_ID else base


def with_adapter(model: Any, folder: str, merge: bool) -> Any:
    """The model with the adapter of `folder`: kept apart and trainable, or added into its weights.

    Raises `ModelSetupError` for an adapter that cannot be read, does not fit the model or holds NaN or infinity.
    """
    from peft import PeftModel

    saved = _saved(Path(folder))
    try:
        with warnings.catch_warnings():
            # peft's use of a name transformers will drop, and its words on missing keys, which are errors here
            warnings.simplefilter("ignore")
            joined = PeftModel.from_pretrained(model, folder, is_trainable=not merge)
    except Exception as error:  # peft raises a dozen types for a folder that is none of its own
        raise ModelSetupError(f"adapter {folder} does not fit its base: {_first_line(error)}") from error
    _check_fit(joined, saved, folder)
    if not merge:
        return joined
    # peft froze the weights, and torch multiplies frozen bfloat16 weights several times more slowly on a CPU;
    # no upstream issue known
    return joined.merge_and_unload().requires_grad_(True)


def _saved(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = folder / _WEIGHTS
    try:
        saved = load_file(file)
    except FileNotFoundError as error:
        raise ModelSetupError(f"adapter {folder} has no {_WEIGHTS}; save its weights in that form") from error
    except (OSError, SafetensorError) as error:
        raise ModelSetupError(f"{file} cannot be read: {_first_line(error)}; save the adapter again") from error
    check_finite(saved.items(), str(file))
    return saved


def _check_fit(joined: Any, saved: dict[str, torch.Tensor], folder: str) -> None:
    """Whether the file has all matrices that the configuration puts on this base, and no others."""
    from peft import get_peft_model_state_dict

    wanted = get_peft_model_state_dict(joined, save_embedding_layers=False).keys()
    missing, unexpected = sorted(wanted - saved.keys()), sorted(saved.keys() - wanted)
    # saved beside the adapter where the vocabulary grew
    unexpected = [name for name in unexpected if "embed_tokens" not in name and "lm_head" not in name]
    for what, names in (("lacks", missing), ("has what its base has no place for,", unexpected)):
        if names:
            raise ModelSetupError(
                f"adapter {folder} does not fit its base: it {what} {names[0]} ({len(names)} in all); "
                f"{CONFIG} and {_WEIGHTS} must be of the same training"
            )


def check_finite(weights: Any, where: str) -> None:
    """Raises `ModelSetupError` naming the first of the (name, tensor) pairs that holds NaN or infinity."""
    import torch

    for name, tensor in weights:
        if tensor.is_floating_point() and not tensor.is_meta and not torch.isfinite(tensor.sum(dtype=torch.float32)):
            raise ModelSetupError(f"{where} holds NaN or infinity, first in {name}; train or save it again")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {' '.join(lines[:2])[:300] if lines else ''}"
