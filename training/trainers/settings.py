"""How a language model is trained: frozen objects, and presets of good values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from anyprefer.core.errors import TrainingError, near
from anyprefer.training.trainers.checked import checked
from anyprefer.training.trainers.curves import REPORT_TO, ReportTo

LossName = Literal[
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired",
    "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm",
]  # fmt: skip
"""The losses of TRL's DPOTrainer."""


class TrainSettings(BaseModel):
    """Every knob of `train`. Defaults are the paper's (Table 3) where it states a value."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    epochs: float = Field(3, gt=0, description="Passes over the pairs (Table 3: 3).")
    learning_rate: float = Field(
        1e-7, gt=0, description="Peak rate of AdamW (Table 3: 1e-7; with LoRA on a small model it moves nothing)."
    )
    beta: float = Field(
        0.1,
        gt=0,
        description="β, how hard DPO is held to its reference (not stated in the paper; 0.1 is TRL's and DPO's own).",
    )
    loss_type: tuple[LossName, ...] = Field(
        ("sigmoid",),
        min_length=1,
        description="TRL loss names, added up: sigmoid is DPO; sft adds the chosen answer's likelihood.",
    )
    loss_weights: tuple[float, ...] = Field((1.0,), min_length=1, description="Weight of each loss.")
    reference: Literal["start", "base"] = Field(
        "start", description="Reference policy: the model this round started from, or the base without any adapter."
    )
    lora_r: int = Field(128, ge=1, description="LoRA rank (Table 3: 128). A continued adapter keeps its own.")
    lora_alpha: int = Field(256, ge=1, description="LoRA scale (Table 3: 256). A continued adapter keeps its own.")
    lora_targets: str = Field(
        "all-linear",
        min_length=1,
        description="Modules LoRA adapts: all-linear (Table 3), or names separated by commas.",
    )
    batch_size: int = Field(1, ge=1, description="Pairs in one step and device (Table 3: 1).")
    gradient_accumulation: int = Field(1, ge=1, description="Steps whose gradients are added before an update.")
    max_length: int = Field(
        1024,
        ge=8,
        description="Longest prompt and answer together, in tokens (Table 3: 1024); what is longer loses its end.",
    )
    warmup: float = Field(0.0, ge=0, lt=1, description="Share of the steps in which the rate rises.")
    scheduler: Literal["linear", "cosine", "constant"] = Field("linear", description="How the rate falls afterwards.")
    seed: int = Field(0, ge=0, description="Seed of the adapter's start and the pairs' order.")
    dtype: Literal["", "float32", "bfloat16", "float16"] = Field(
        "", description="Number format of the frozen weights (LoRA's own stay float32); empty: the fastest here."
    )
    threads: int = Field(0, ge=0, description="CPU threads; 0: as many as the process may use.")
    dev: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="Share of the prompts (or images) whose pairs are kept out of training; kept is the adapter with the "
        "lowest loss on them of those that make their chosen answers no less likely. 0: the last step's.",
    )
    report_to: ReportTo = REPORT_TO
    check_every: int = Field(10, ge=1, description="Updates between two checks of the pairs that `dev` keeps out.")

    @model_validator(mode="after")
    def _one_weight_a_loss(self) -> Self:
        if len(self.loss_type) != len(self.loss_weights):
            raise ValueError("loss_type and loss_weights must have the same length")
        return self


class TextSettings(TrainSettings):
    """What the trainer `text_dpo` takes: how one adapter is trained, and what the next iteration continues from."""

    adapter: Literal["chain", "merge"] = Field(
        "chain",
        description="What the next iteration trains: chain, the same adapter further; "
        "merge, a fresh adapter on the model the last one was merged into (a whole model is saved each time).",
    )


class ImageTrainSettings(TrainSettings):
    """The same of a model that sees. `max_length` counts image tokens; pairs that are longer are left out."""

    projector_rate: float = Field(
        2e-5,
        ge=0,
        description="Peak rate of the projector, the layers between vision tower and language model, which is trained "
        "whole (Table 3: 2e-5); 0: it stays as it is.",
    )


class ImageSettings(ImageTrainSettings, TextSettings):
    """What the trainer `image_dpo` takes."""


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "embedded": {
        "epochs": 2,
        "learning_rate": 2e-4,
        "beta": 0.1,
        "loss_type": ("sigmoid", "sft"),
        "loss_weights": (1.0, 1.0),
        "lora_r": 16,
        "lora_alpha": 32,
        "batch_size": 8,
        "max_length": 256,
        "warmup": 0.1,
        "scheduler": "cosine",
    },
}
"""`paper`: Table 3, for a 7B model on one 80 GB GPU. `embedded`: SmolLM2-135M on two CPU cores, found by
the runs in docs/experiments.md; it adds the chosen answers' likelihood to the DPO loss, because DPO alone
made this small model ramble."""

IMAGE_PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "embedded": {
        "epochs": 2,
        "learning_rate": 1.2e-4,
        "beta": 0.1,
        "lora_r": 16,
        "lora_alpha": 32,
        "projector_rate": 2e-5,
        "batch_size": 16,
        "max_length": 256,
        "warmup": 0.1,
        "scheduler": "cosine",
    },
}
"""`paper`: Table 3, for LLaVA-1.5-7B on one 80 GB GPU. `embedded`: the small model that sees, on two CPU cores."""


@dataclass(frozen=True)
class Gpu:
    """A device as its maker states it."""

    gb: float
    """Memory in GiB."""
    tflops: float
    """Peak in bfloat16 without sparsity, 10¹² operations a second."""
    gbps: float
    """Bandwidth of its memory, 10⁹ bytes a second."""

    @property
    def flops(self) -> float:
        """Operations a second that are reached."""
        return self.tflops * 1e12 * REACHED

    @property
    def bandwidth(self) -> float:
        """Bytes a second that are reached."""
        return self.gbps * 1e9 * REACHED


REACHED = 0.3
"""Share of both peaks that is reached; an assumption."""
GPUS = {
    "a100": Gpu(80, 312, 2039),
    "h100": Gpu(80, 989, 3350),
    "h200": Gpu(141, 989, 4800),
    "l40s": Gpu(48, 362, 864),
    "rtx4090": Gpu(24, 165, 1008),
}
"""What an estimate may be for, by the makers' data sheets."""


def gpu(name: str) -> Gpu:
    """The GPU of that name. Raises `TrainingError` that names the near one."""
    if name not in GPUS:
        raise TrainingError(f"unknown GPU {name!r}; {near(name, GPUS)}")
    return GPUS[name]


def train_settings(preset: str = "paper", **changes: Any) -> TrainSettings:
    """A preset with changes; those that are None are left out. Raises `TrainingError` naming the setting and the fix."""
    if preset not in PRESETS:
        raise TrainingError(f"unknown preset {preset!r}; choose one of {', '.join(PRESETS)}")
    return checked(TrainSettings, {**PRESETS[preset], **_given(changes)}, "training setting")


def _given(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in changes.items() if value is not None}
