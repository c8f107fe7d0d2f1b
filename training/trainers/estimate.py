"""What training on one GPU takes, before there is one: memory and time from a base's configuration alone.

    found = estimate_training(read_shape("meta-llama/Llama-2-7b-chat-hf", train_settings("paper")), settings, pairs=6000)
    found.total, found.fits, found.seconds

The model is built on torch's meta device with its adapter, so its parameters are counted and no weight is
read. What cannot be known without a run is assumed, and said where it is: the share of a GPU's peak that is
reached (`Gpu`), the activations of a token (`memory.BYTES`), and four characters a token of English.

Left out: several devices, sharding, images, the loading of the weights.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from anyprefer.core.errors import ModelSetupError
from anyprefer.core.settings import RunSettings
from anyprefer.models.local.adapters import adapter_base
from anyprefer.models.local.model_files import model_source
from anyprefer.training.pair_data.read import characters
from anyprefer.training.trainers.dpo import lora_config
from anyprefer.training.trainers.memory import activation_bytes, checkpointed_bytes, too_large
from anyprefer.training.trainers.settings import GPUS, Gpu, TrainSettings

GIB = 2**30
MARGIN = 0.1
"""Share of all other memory that is lost to fragmentation; an assumption."""
CONTEXT = GIB
"""CUDA's own memory and the libraries' workspaces; an assumption."""
CHARACTERS = 4
"""Of one token of English text; an assumption."""
_LLAMA_2_7B = {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "intermediate_size": 11008,
               "vocab_size": 32000, "max_position_embeddings": 4096}  # fmt: skip
KNOWN: dict[str, dict[str, Any]] = {f"meta-llama/Llama-2-7b{chat}-hf": _LLAMA_2_7B for chat in ("", "-chat")}
"""The paper's target, whose files the hub gives to those alone who signed its licence."""


@dataclass(frozen=True)
class Shape:
    """A base model and its adapter, counted."""

    config: Any
    """The text model's configuration."""
    parameters: int
    lookup: int
    """Parameters of an input embedding of its own: looked up, never multiplied with."""
    lora: int
    adapter: bool
    """Whether the base is an adapter's folder, whose training goes on."""

    @property
    def multiplied(self) -> int:
        """N: the base's parameters that every token is multiplied with."""
        return self.parameters - self.lookup


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


def read_shape(base: str, settings: TrainSettings) -> Shape:
    """Counts `base`, a model as `train` takes it. Raises `ModelSetupError` for one whose configuration cannot be had."""
    from peft import PeftConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    under = adapter_base(base)
    config = _config(under or base)
    auto: Any = AutoModelForCausalLM  # its from_config has no annotations
    try:
        with torch.device("meta"):
            model = auto.from_config(config)
    except ValueError as error:
        raise ModelSetupError(f"{base!r} is no text model, so its size cannot be estimated: {error}") from error
    parameters = sum(weight.numel() for weight in model.parameters())
    tied = model.get_input_embeddings().weight is getattr(model.get_output_embeddings(), "weight", None)
    lookup = 0 if tied else model.get_input_embeddings().weight.numel()
    lora = PeftConfig.from_pretrained(base) if under else lora_config(settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the libraries' words to each other
        joined = get_peft_model(model, lora, low_cpu_mem_usage=True)
    adapted = sum(weight.numel() for name, weight in joined.named_parameters() if "lora_" in name)
    return Shape(config.get_text_config(), parameters, lookup, adapted, under is not None)


def _config(base: str) -> Any:
    from transformers import AutoConfig, LlamaConfig

    if base in KNOWN:
        return LlamaConfig(**KNOWN[base])
    try:
        return AutoConfig.from_pretrained(model_source(base), trust_remote_code=False)
    except (ModelSetupError, OSError, ValueError) as error:
        raise ModelSetupError(
            f"the configuration of {base!r} cannot be had; name a folder with a config.json, or one of "
            f"{', '.join(KNOWN)} ({str(error).strip().splitlines()[0][:200]})"
        ) from error


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
    memory["margin"] = MARGIN * sum(memory.values()) + CONTEXT
    long = min(length or settings.max_length, settings.max_length)
    flops = 2 * pairs * long * (settings.epochs * _step_flops(shape, long, checkpointing) + _forward_flops(shape, long))
    return Training(memory, checkpointing, kept if checkpointing else again, gpu, flops)


def _reference_bytes(shape: Shape, settings: TrainSettings, weights: float) -> float:
    """A fresh adapter's reference is the model without it; a continued one's is a copy of it, or the base once more."""
    if not shape.adapter:
        return 0.0
    return weights if settings.reference == "base" else 4.0 * shape.lora


def _forward_flops(shape: Shape, length: float) -> float:
    """2N + 2 · layers · length · width for each token (Kaplan et al. 2020, arXiv 2001.08361, table 1)."""
    attention: float = 2 * shape.config.num_hidden_layers * length * shape.config.hidden_size
    return 2 * shape.multiplied + attention


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
    """One round's C candidates for `tasks` prompts of `prompt` tokens, in bfloat16, each as long as it may be.

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
    seconds = tasks * prompt * _forward_flops(shape, prompt) / gpu.flops + batches * new * step
    return SamplingCost(at_once, memory, sum(memory.values()) <= gpu.gb * GIB, seconds)


def mean_tokens(rows: Iterable[Mapping[str, Any]]) -> tuple[float, float]:
    """Tokens of a pair's prompt, and of the prompt with the longer answer: the means, at four characters each."""
    lengths = [
        (characters(row["prompt"]), max(characters(row[name]) for name in ("chosen", "rejected"))) for row in rows
    ]
    prompt = sum(asked for asked, _ in lengths) / len(lengths) / CHARACTERS
    return prompt, prompt + sum(answer for _, answer in lengths) / len(lengths) / CHARACTERS
