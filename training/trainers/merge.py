"""An adapter and its base → one model, as the next round's base or for a server that takes no adapters."""

from __future__ import annotations

import shutil
from pathlib import Path

from anyprefer.models.local.weights import default_device, default_dtype, load_weights


def merge(adapter: Path, output: Path, dtype: str = "") -> Path:
    """Save the model with `adapter` added into its weights, as safetensors with its tokenizer and, of a model that
    sees, its processor; returns `output`.

    A model that is there already is left as it is. `dtype` as in `TrainSettings`; the sum itself is made in float32.
    """
    if output.exists():
        return output
    part = output.with_name(f"{output.name}.new")  # renamed when complete, so a killed run leaves no half model
    shutil.rmtree(part, ignore_errors=True)
    weights = load_weights(str(adapter), dtype=dtype or default_dtype(default_device()), device="cpu")
    weights.model.save_pretrained(str(part))
    (weights.processor or weights.tokenizer).save_pretrained(str(part))
    part.rename(output)
    return output
