"""Preference pairs of any data set in one shape, to be compared.

    samples = read_samples("runs/first")                  # a run folder: its accepted rows, with candidates and scores
    samples = read_samples("harmless_base_test.jsonl")    # or a file of pairs; hub:ID works too

A file's rows are in any form of `training/pair_data/preference_rows.py`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyprefer.core.errors import InputError
from anyprefer.core.records import Row
from anyprefer.core.task import Task
from anyprefer.core.values import as_text
from anyprefer.graph.runs.row_files import read_rows, row_files
from anyprefer.training.pair_data.preference_rows import task_of
from anyprefer.training.pair_data.read import Pair, pair_files, pairs_in


@dataclass(frozen=True)
class Sample:
    """One preference pair with what is known about how it was made."""

    task: Task
    """Its prompt is the whole dialogue before the answers."""
    chosen: str
    rejected: str
    margin: float | None = None
    """Judge score of chosen minus that of rejected; None where either was not scored."""
    reward: float | None = None
    """R of the pair, 1..10."""
    candidates: tuple[str, ...] = ()
    """All answers of the round the pair was formed in; empty where they are not kept."""


def read_samples(source: str | Path) -> list[Sample]:
    """The pairs of a run folder, a file or `hub:ID`, in order.

    Raises `InputError` naming file and line for a row that is no pair, and for a source without pairs.
    """
    path = Path(source)
    if path.is_dir() and row_files(path, "rows"):
        samples = [_of_row(row) for row in read_rows(path) if row.outcome == "accepted"]
    else:
        files: Sequence[str | Path] = pair_files(path) if path.is_dir() else [source]
        samples = [_of_file(pair) for file in files for pair in pairs_in(file)]
    if not samples:
        raise InputError(f"{source} holds no pairs, so there is nothing to analyse")
    return samples


def draw(samples: Sequence[Sample], n: int, seed: int) -> list[Sample]:
    """So many of them without replacement, all when there are fewer; the same ones for the same seed."""
    return random.Random(seed).sample(list(samples), min(n, len(samples)))


def _of_row(row: Row) -> Sample:
    if row.task is None or row.pair is None:
        raise InputError(f"row {row.id} is accepted without a task or a pair; the run folder is damaged")
    return Sample(
        task=row.task,
        chosen=as_text(row.pair.chosen),
        rejected=as_text(row.pair.rejected),
        margin=row.pair.margin,
        reward=row.reward,
        candidates=tuple(candidate.text for candidate in row.rounds[-1].candidates) if row.rounds else (),
    )


def _of_file(pair: Pair) -> Sample:
    row, told = pair.row, pair.told
    best, worst = (_score(row, name) for name in ("chosen", "rejected"))
    return Sample(
        task=task_of(pair.where, pair.id or pair.where, told.prompt, reference=row.get("reference")),
        chosen=told.chosen.strip(),
        rejected=told.rejected.strip(),
        margin=None if best is None or worst is None else best - worst,
        reward=_number(row.get("reward")),
    )


def _score(row: Mapping[str, Any], name: str) -> float | None:
    """The score of `chosen` or `rejected`: a run's own column, or that of exported and UltraFeedback's sets."""
    run = _number(row.get(f"{name}_score"))
    return _number(row.get(f"score_{name}")) if run is None else run


def _number(value: Any) -> float | None:
    """A number; other people's columns of these names may hold anything."""
    return value if type(value) in (int, float) and math.isfinite(value) else None
