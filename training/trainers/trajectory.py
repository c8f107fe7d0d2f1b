"""The trainer `trajectory`: a policy gets better at what it was played on, by trajectory-wise preference optimisation (TPO).

GRAPE's loss (arXiv 2411.19309, §3.1; its code, `TPO-Train/finetune.py`) is DPO's on windows of a trajectory: log
probabilities of all tokens of some steps are added up before the σ. The i-th window of the chosen trajectory stands
against the i-th of the rejected one, and the longer one ends with the shorter. The reference is the policy that acted:
its log probabilities come with the pairs.

A checkpoint is a target's string, `policy:SPEC`. The work itself is in `trajectory_training.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from anyprefer.core.errors import SettingsError
from anyprefer.core.roles import Trainer
from anyprefer.core.settings import RunSettings
from anyprefer.training.trainers import curves
from anyprefer.training.trainers.text_dpo import REPORT

TARGET = "policy:"


class TrajectorySettings(BaseModel):
    """How a policy is trained on pairs of trajectories."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    epochs: int = Field(2, ge=1, description="Passes over the windows.")
    learning_rate: float = Field(
        2e-5, gt=0, description="Peak rate of AdamW; without sft in the loss, twice as much ruins the small policy."
    )
    beta: float = Field(0.1, gt=0, description="β, how hard the policy is held to its reference.")
    loss_type: tuple[Literal["sigmoid", "sft"], ...] = Field(
        ("sigmoid",),
        min_length=1,
        description="TRL loss names, added up: sigmoid is DPO; sft is the chosen's mean negative log-likelihood a token, alone filtered imitation.",
    )
    loss_weights: tuple[float, ...] = Field((1.0,), min_length=1, description="Weight of each loss.")
    window: int = Field(8, ge=1, description="Steps whose log probabilities are added up.")
    batch_size: int = Field(8, ge=1, description="Pairs of windows in one step.")
    gradient_accumulation: int = Field(1, ge=1, description="Steps whose gradients are added before an update.")
    warmup_steps: int = Field(20, ge=0, description="Updates in which the rate rises; afterwards it falls linearly.")
    lora_r: int = Field(0, ge=0, description="LoRA rank; 0: all weights are trained.")
    lora_alpha: int = Field(32, ge=1, description="LoRA scale.")
    stop_below: float = Field(
        3.0,
        gt=0,
        description="Training stops where windows that were chosen have become less likely than they were by more nats than this, on the mean of the last 10 updates: with them falls success.",
    )
    threads: int = Field(1, ge=1, description="CPU threads.")
    report_to: Literal["none", "tensorboard"] = curves.REPORT_TO

    @model_validator(mode="after")
    def _one_weight_a_loss(self) -> Self:
        if len(self.loss_type) != len(self.loss_weights):
            raise ValueError("loss_type and loss_weights must have the same length")
        return self


class TrajectoryTPO(Trainer):
    """TPO on a policy whose weights are here: `policy:small`, `policy:openvla:ID-or-folder`."""

    name = "trajectory"
    settings_type = TrajectorySettings
    presets = {  # noqa: RUF012
        "embedded": {
            "learning_rate": 1e-4,
            "epochs": 4,
            "batch_size": 16,
            "loss_type": ("sigmoid", "sft"),
            "loss_weights": (1.0, 3.0),
        },
        "paper": {"lora_r": 32, "lora_alpha": 32, "batch_size": 1, "epochs": 1},
    }
    folder = "policy"
    settings: TrajectorySettings

    def check(self, start: str, played: RunSettings) -> None:
        """A policy whose weights are here trains."""
        curves.check(self.settings.report_to)
        if not start.startswith(TARGET) or start.startswith(f"{TARGET}server:"):
            raise SettingsError(
                f"target {start!r} cannot be trained on trajectories here; name policy:small, policy:small:FOLDER or "
                "policy:openvla:ID-or-folder"
            )

    def ready(self, pairs: Sequence[Path], start: str) -> str:
        """The number of pairs; all of them are read."""
        from anyprefer.training.pair_data.trajectories import trajectory_pairs

        curves.check(self.settings.report_to)
        return f"{len(trajectory_pairs(*pairs))} pairs of trajectories"

    def train(self, pairs: Sequence[Path], start: str, output: Path, seed: int) -> str:
        """`policy:` and the trained one's own string. A finished training is not made again."""
        report = output / REPORT
        if not report.exists():
            from anyprefer.training.trainers.trajectory_training import train

            train(pairs, start.removeprefix(TARGET), output, self.settings, seed)
        return f"{TARGET}{json.loads(report.read_text(encoding='utf-8'))['policy']}"

    def told(self, output: Path) -> dict[str, str]:
        """Pairs, windows, losses, how likelihoods changed and seconds of the report."""
        report: dict[str, Any] = json.loads((output / REPORT).read_text(encoding="utf-8"))
        losses = report["losses"]
        changes = {name: f"{value:+.2f}" for name, value in report["metrics"].items()}
        stopped = {"stopped": f"after update {report['stopped']}"} if report["stopped"] is not None else {}
        return {
            "pairs": str(report["trained"]),
            "windows": str(report["windows"]),
            "loss": f"{losses[0]:.3f} → {losses[-1]:.3f}",
            **changes,
            **stopped,
            "seconds": f"{report['seconds']:g}",
        }


offers = TrajectoryTPO
