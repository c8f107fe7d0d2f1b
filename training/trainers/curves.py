"""Training curves for a viewer, while a training runs.

    anyprefer train runs/first --base smollm2 --report-to tensorboard --out models/first
    tensorboard --logdir models/first

TensorBoard's files go into the output's folder `curves`. trackio and W&B are transformers' own `report_to`, with the
project `anyprefer` and the output as the run's name; where they write, and to whom, their own variables say.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from anyprefer.core.errors import TrainingError

ReportTo = Literal["none", "tensorboard", "trackio", "wandb"]
FOLDER = "curves"
PROJECT = "anyprefer"
REPORT_TO: Any = Field(
    "none",
    exclude=True,  # how a training is watched is no part of what it was
    description="Show losses and rewards as they come in TensorBoard (files in the output's folder `curves`), trackio or W&B.",
)


def check(name: ReportTo) -> None:
    """Raises `TrainingError` with the line that installs what is missing."""
    if name != "none" and find_spec(name) is None:
        raise TrainingError(f"report_to {name!r} needs a package that is not installed: pip install {name}")


def writer(name: ReportTo, output: Path) -> Any:
    """TensorBoard's `SummaryWriter` in the output's folder; None for anything else."""
    if name != "tensorboard":
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(log_dir=str(output / FOLDER))


def callbacks(name: ReportTo, output: Path) -> list[Any]:
    """What a trainer of transformers calls beside what `arguments` names: its own choice of folder is the scratch one."""
    if name != "tensorboard":
        return []
    from transformers.integrations import TensorBoardCallback

    return [TensorBoardCallback(writer(name, output))]  # type: ignore[no-untyped-call]


def arguments(name: ReportTo, output: Path) -> dict[str, Any]:
    """`TrainingArguments` of it."""
    if name in ("none", "tensorboard"):
        return {"report_to": "none"}
    return {"report_to": name, "project": PROJECT, "run_name": str(output)}
