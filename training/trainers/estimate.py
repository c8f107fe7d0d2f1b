"""What training on one GPU takes, before there is one: memory and time from a base's configuration alone.

    found = estimate_training(read_shape("meta-llama/Llama-2-7b-chat-hf", train_settings("paper")), settings, pairs=6000)
    found.total, found.fits, found.seconds

What cannot be known without a run is assumed, and said where it is: the share of a GPU's peak that is
reached (`Gpu`), the activations of a token (`memory.BYTES`), and four characters a token of English.
Of a model that sees, a pair has one image unless its row says otherwise, and the tower sees each once.

Left out: several devices, sharding, the loading of the weights, the projector's work.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from anyprefer.core.settings import RunSettings
from anyprefer.training.pair_data.read import characters
from anyprefer.training.trainers.memory import activation_bytes, checkpointed_bytes, too_large
from anyprefer.training.trainers.settings import GPUS, Gpu, TrainSettings
from anyprefer.training.trainers.shape import Shape

GIB = 2**30
MARGIN = 0.1
"""Share of all other memory that is lost to fragmentation; an assumption."""
CONTEXT = GIB
"""CUDA's own memory and the libraries' workspaces; an assumption."""
CHARACTERS = 4
"""Of one token of English text; an assumption."""


@dataclass(frozen=True)
class Training:
    """What `estimate_training` found."""

    memory: Mapping[str, float]
    """Bytes of every part, at the longest pairs."""
    checkpointing: bool
    """Whether `train` would compute activations twice to hold fewer of them."""
    other: float
    """Bytes of activations had it decided otherwise."""
    gpu: Gpu
    flops: float
    """Operations of the whole run."""

    @property
    def total(self) -> float:
        """Bytes of all parts."""
        return sum(self.memory.values())

    @property
    def fits(self) -> bool:
        """Whether the GPU holds them."""
        return self.total <= self.gpu.gb * GIB

    @property
    def seconds(self) -> float:
        """Of the steps and the reference pass."""
        return self.flops / self.gpu.flops


@dataclass(frozen=True)
class SamplingCost:
    """What `estimate_sampling` found."""

    sequences: int
    """Answers written at once."""
    memory: Mapping[str, float]
    """Bytes of every part, when all of these have their longest length."""
    fits: bool
    seconds: float


def estimate_training(
    shape: Shape, settings: TrainSettings, pairs: int, gpu: Gpu | None = None, length: float = 0
) -> Training:
    """DPO with LoRA on `pairs` pairs whose prompt and longer answer have `length` tokens on average.

    0, or more than `max_length`: all are `max_length` long. Memory is always that of the longest pairs.
    """
    gpu = gpu or GPUS["a100"]
    size = 4 if settings.dtype == "float32" else 2
    weights = float(shape.parameters * size)
    checkpointing = too_large(shape.config, settings, gpu.gb * GIB - weights)
    kept, again = (count(shape.config, settings) * size / 2 for count in (activation_bytes, checkpointed_bytes))
    tokens = 2 * settings.batch_size * settings.max_length
    memory = {
        "weights": weights,
        "LoRA": 4.0 * shape.lora,
        "LoRA's gradients": 4.0 * shape.lora,
        "Adam's states": 8.0 * shape.lora,
        "reference": _reference_bytes(shape, settings, weights),
        "activations": again if checkpointing else kept,
        "logits, at most": float(tokens * shape.config.vocab_size * size),
    }
    if shape.projector:
        # in float32, as it was and as it is trained, less what `weights` has of it; its gradients; Adam's states
        memory["projector, trained"] = (2 * 4 - size + 4 + 8) * float(shape.projector)
    memory["margin"] = MARGIN * sum(memory.values()) + CONTEXT
    long = min(length or settings.max_length, settings.max_length)
    flops = 2 * pairs * long * (settings.epochs * _step_flops(shape, long, checkpointing) + _forward_flops(shape, long))
    flops += pairs * _sight_flops(shape)
    return Training(memory, checkpointing, kept if checkpointing else again, gpu, flops)


def _reference_bytes(shape: Shape, settings: TrainSettings, weights: float) -> float:
    """A fresh adapter's reference is the model without it; a continued one's is a copy of it, or the base once more."""
    if not shape.adapter:
        return 0.0
    return weights if settings.reference == "base" else 4.0 * (shape.lora + shape.projector)


def _forward_flops(shape: Shape, length: float) -> float:
    """2N + 2 · layers · length · width for each token (Kaplan et al. 2020, arXiv 2001.08361, table 1)."""
    attention: float = 2 * shape.config.num_hidden_layers * length * shape.config.hidden_size
    return 2 * shape.multiplied + attention


def _sight_flops(shape: Shape) -> float:
    """Operations for an image in the vision tower: 2N a patch."""
    return 2.0 * shape.sight.tower * shape.sight.patches if shape.sight else 0.0


def _step_flops(shape: Shape, length: float, checkpointing: bool) -> float:
    """Operations for each token of a step with LoRA.

    With all weights trained a backward pass takes twice the forward one's, half for the inputs' gradients and
    half for the weights' (Kaplan et al., §2.1: 6N in all). Frozen weights need no gradient, so N counts 2 + 2;
    LoRA's P parameters count 2 + 4, attention A, which has inputs alone, A + 2A. Checkpointing adds a forward pass.
    """
    forward = _forward_flops(shape, length) + 2 * shape.lora
    attention = _forward_flops(shape, length) - 2 * shape.multiplied
    backward = 2 * shape.multiplied + 4 * shape.lora + 2 * attention
    return forward * (2 if checkpointing else 1) + backward


def estimate_sampling(
    shape: Shape, tasks: int, prompt: float, gpu: Gpu | None = None, settings: RunSettings | None = None
) -> SamplingCost:
    """One round's C candidates for `tasks` prompts of `prompt` tokens, those of images counted, in bfloat16, each as long
    as it may be.

    A prompt is read once (2N operations a token). Every further token of all answers at once takes as long as
    its operations or as reading the weights and the keys and values kept, whichever is longer (Pope et al. 2022,
    arXiv 2211.05102).
    """
    gpu, settings = gpu or GPUS["a100"], settings or RunSettings()
    config, new = shape.config, settings.max_new_tokens
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    kept = 2 * config.num_hidden_layers * heads * head * 2  # bytes a token
    weights = 2.0 * shape.parameters
    free = (gpu.gb * GIB - CONTEXT) / (1 + MARGIN) - weights
    wanted = min(settings.concurrency, tasks) * settings.candidates
    at_once = max(1, min(wanted, int(free // (kept * (prompt + new)))))
    step = max(
        2 * shape.multiplied * at_once / gpu.flops, (weights + at_once * kept * (prompt + new / 2)) / gpu.bandwidth
    )
    batches = math.ceil(tasks * settings.candidates / at_once)
    memory = {"weights": weights, "keys and values": at_once * kept * (prompt + new)}
    memory["margin"] = MARGIN * sum(memory.values()) + CONTEXT
    read = tasks * (prompt * _forward_flops(shape, prompt) + _sight_flops(shape))
    seconds = read / gpu.flops + batches * new * step
    return SamplingCost(at_once, memory, sum(memory.values()) <= gpu.gb * GIB, seconds)


def mean_tokens(rows: Iterable[Mapping[str, Any]], image: int = 0) -> tuple[float, float]:
    """Tokens of a pair's prompt, and of the prompt with the longer answer: the means, at four characters each and `image`
    for each image."""
    lengths = [
        (
            characters(row["prompt"]) / CHARACTERS + image * len(row.get("images") or ()),
            max(characters(row[name]) for name in ("chosen", "rejected")) / CHARACTERS,
        )
        for row in rows
    ]
    prompt = sum(asked for asked, _ in lengths) / len(lengths)
    return prompt, prompt + sum(answer for _, answer in lengths) / len(lengths)
