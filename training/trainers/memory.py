"""Whether a training step's activations fit the device, or must be computed twice (gradient checkpointing)."""

from __future__ import annotations

from typing import Any

import torch

from anyprefer.training.trainers.processes import is_sharded
from anyprefer.training.trainers.settings import TrainSettings

BYTES = 20
"""Kept for the backward pass by each token, layer and unit of (hidden + intermediate) size, with LoRA on all linear
layers in bfloat16; 17.7 were counted on SmolLM2-135M."""


def needs_checkpointing(model: Any, settings: TrainSettings) -> bool:
    """True on a GPU where a batch of longest pairs would fill more than half of what is free beside the weights.

    Checkpointing computes every layer twice, which costs about a third more time. A CPU has memory to spare,
    and sharded weights are for models that leave none.
    """
    if is_sharded():
        return True
    kind: str = model.device.type
    if kind != "cuda":
        return kind != "cpu"
    free, _ = torch.cuda.mem_get_info(model.device)
    return too_large(model.config, settings, free)


def too_large(config: Any, settings: TrainSettings, free: float) -> bool:
    """Whether the activations would fill more than half of `free` bytes."""
    return activation_bytes(config, settings) > free / 2


def activation_bytes(config: Any, settings: TrainSettings) -> int:
    """Bytes that a step of `batch_size` pairs of `max_length` tokens keeps for its backward pass."""
    text = config.get_text_config()
    layers: int = text.num_hidden_layers
    width: int = text.hidden_size + (getattr(text, "intermediate_size", None) or 4 * text.hidden_size)
    return 2 * settings.batch_size * settings.max_length * layers * width * BYTES


def checkpointed_bytes(config: Any, settings: TrainSettings) -> int:
    """The same with gradient checkpointing: every layer's input in bfloat16, and one layer's activations."""
    text = config.get_text_config()
    layers: int = text.num_hidden_layers
    inputs: int = 2 * settings.batch_size * settings.max_length * layers * text.hidden_size * 2
    return inputs + activation_bytes(config, settings) // layers
