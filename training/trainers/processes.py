"""Training in several processes, as `accelerate launch` starts them: which one this is, where its model goes, what they share.

accelerate launch --config_file training/accelerate-configs/ddp.yaml -m anyprefer.cli train RUN --base MODEL --out FOLDER
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from datasets import Dataset, load_from_disk

from anyprefer.models.local.weights import default_device


def processes() -> int:
    """How many processes train together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def is_first() -> bool:
    """Whether this process is the one that prints and writes."""
    return int(os.environ.get("RANK") or 0) == 0


def one_machine() -> bool:
    """Whether all of them share a machine, and so its disk."""
    return int(os.environ.get("LOCAL_WORLD_SIZE") or processes()) == processes()


def is_sharded() -> bool:
    """Whether FSDP or DeepSpeed was asked for: then the trainer places the weights, not we."""
    asked = (os.environ.get(name, "").lower() for name in ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"))
    return any(value in ("1", "true", "yes") for value in asked)


def on_cpu() -> bool:
    """Whether training runs on the CPU: there is nothing else, or `accelerate launch --cpu` was given."""
    return default_device() == "cpu" or os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")


def train_device() -> str:
    """Where this process loads the model: `cpu`, `mps`, or its own `cuda:N`."""
    if on_cpu() or is_sharded():
        return "cpu"
    local = os.environ.get("LOCAL_RANK")
    if default_device() == "cuda" and local is not None:
        torch.cuda.set_device(int(local))
        return f"cuda:{local}"
    return default_device()


@contextmanager
def shared_rows(*parts: Dataset) -> Iterator[list[Dataset]]:
    """The rows in a temporary folder that all processes of this machine read, as the trainer's caches must be.

    With one process, the rows as they are.
    """
    if processes() == 1:
        yield list(parts)
        return
    state: Any = PartialState(cpu=on_cpu())
    with tempfile.TemporaryDirectory() as own:
        folder = [own]
        if one_machine():
            broadcast_object_list(folder)
        if folder[0] == own:
            for number, rows in enumerate(parts):
                rows.save_to_disk(str(Path(own) / f"rows-{number}"))
        state.wait_for_everyone()
        yield [load_from_disk(str(Path(folder[0]) / f"rows-{number}")) for number in range(len(parts))]
        state.wait_for_everyone()
