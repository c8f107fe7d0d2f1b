"""What is said of a training, beside its adapter."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SerializeAsAny

from anyprefer.training.trainers.settings import TrainSettings


class PairFile(BaseModel):
    """One file the adapter was trained on."""

    model_config = ConfigDict(frozen=True)

    path: str
    sha256: str
    rows: int


def pair_file(file: Path, rows: int) -> PairFile:
    """What is said of a file with so many rows."""
    with file.open("rb") as opened:
        sha = hashlib.file_digest(opened, "sha256").hexdigest()
    return PairFile(path=str(file), sha256=sha, rows=rows)


class TrainReport(BaseModel):
    """Where an adapter comes from; kept beside it as `anyprefer.json`."""

    model_config = ConfigDict(frozen=True)

    adapter: str
    """The folder, to be used as a model or as the next round's base."""
    base: str
    """What this round started from: model or adapter."""
    pairs: tuple[PairFile, ...]
    trained: int
    """Pairs trained on, duplicates counted."""
    left_out: int = 0
    """Pairs that could not be trained on: answers that were the same tokens; with images also what is too long, and
    images that cannot be opened."""
    kept_out: int = 0
    """Pairs that the steps were chosen on."""
    step: int | None = None
    """The update whose adapter was kept, of those checked; None: the last one."""
    checks: tuple[dict[str, float], ...] = ()
    """Loss and TRL's metrics on the pairs kept out, by `step`."""
    settings: SerializeAsAny[TrainSettings]
    versions: dict[str, str]
    losses: tuple[float, ...]
    """Training loss of every update; pure DPO starts at log 2 = 0.693."""
    metrics: dict[str, float]
    """TRL's metrics at the last update: rewards/accuracies 0..1, rewards/margins (both higher is better), …"""
    seconds: float
