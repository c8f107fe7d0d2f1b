"""Preference pairs of any data set in one shape, to be compared.

    samples = read_samples("runs/first")                  # a run folder: its accepted rows, with candidates and scores
    samples = read_samples("harmless_base_test.jsonl")    # or a file of pairs; hub:ID works too

A file's rows are in any form of `training/pair_data/preference_rows.py`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyprefer.core.errors import InputError
from anyprefer.core.records import Row
from anyprefer.core.task import Task
from anyprefer.core.values import as_text
from anyprefer.graph.runs.row_files import read_rows, row_files
from anyprefer.training.pair_data.preference_rows import preference_file, read_preference, readable, task_of
from anyprefer.training.pair_data.read import pair_files


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
        samples = [sample for file in files for sample in readable(preference_file(file), _of_file)]
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


def _of_file(where: str, row: Any) -> Sample:
    pair = read_preference(where, row)
    best, worst, reward = (_number(row.get(name)) for name in ("chosen_score", "rejected_score", "reward"))
    return Sample(
        task=task_of(where, str(row.get("id") or where), pair.prompt, reference=row.get("reference")),
        chosen=pair.chosen.strip(),
        rejected=pair.rejected.strip(),
        margin=None if best is None or worst is None else best - worst,
        reward=reward,
    )


def _number(value: Any) -> float | None:
    """A number of our own files; others' columns of these names may hold anything."""
    return value if type(value) in (int, float) and math.isfinite(value) else None
