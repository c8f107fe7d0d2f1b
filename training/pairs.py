"""Accepted rows → the rows TRL trains on.

A run folder holds `pairs.jsonl`, one JSON object per accepted pair, in TRL's conversational
preference format: `prompt` (messages), `chosen` and `rejected` (one assistant message each),
`images` where the task had some, and provenance columns that training does not need.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset

from anyprefer.graph.errors import TrainingError

FILE = "pairs.jsonl"
_ANSWERS = ("chosen", "rejected")


def pair_files(*paths: str | Path) -> list[Path]:
    """The pair file of each path: itself, or `pairs.jsonl` in a run folder. Raises `TrainingError` when one is missing."""
    files = [Path(path) / FILE if Path(path).is_dir() else Path(path) for path in paths]
    if not files:
        raise TrainingError("no pairs given; name a run folder or a pairs file")
    for file in files:
        if not file.is_file():
            raise TrainingError(
                f"{file} does not exist; name a run folder that holds {FILE}, or a .jsonl file of pairs"
            )
    return files


def load_pairs(*paths: str | Path) -> Dataset:
    """Pairs of all files in order, as columns prompt, chosen, rejected (and images when any row has them).

    Raises `TrainingError` naming file and line for a row that cannot be trained on, and for a file without rows.
    """
    rows = [row for file in pair_files(*paths) for row in _read(file)]
    columns = ["prompt", *_ANSWERS, *(["images"] if any(row.get("images") for row in rows) else [])]
    return Dataset.from_list([{name: row.get(name) or [] for name in columns} for row in rows])


def _read(file: Path) -> Iterator[dict[str, Any]]:
    count = 0
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                count += 1
                yield _checked(line, f"{file}, line {number}")
    if not count:
        raise TrainingError(f"{file} holds no pairs; lower the threshold or play more tasks")


def _checked(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise TrainingError(f"{where}: not JSON ({error}); each line must be one pair") from error
    if not isinstance(row, dict):
        raise TrainingError(f"{where}: a pair must be a JSON object, got {type(row).__name__}")
    for name in ("prompt", *_ANSWERS):
        _check_messages(row.get(name), f"{where}, column {name!r}")
    for name in _ANSWERS:
        if [message["role"] for message in row[name]] != ["assistant"]:
            raise TrainingError(f"{where}: {name!r} must be exactly one assistant message")
    if row["chosen"] == row["rejected"]:
        raise TrainingError(f"{where}: chosen and rejected are equal, so there is nothing to prefer; remove the row")
    return row


def _check_messages(messages: Any, where: str) -> None:
    if not isinstance(messages, list) or not messages:
        raise TrainingError(f"{where} must be a list of messages like {{'role': 'user', 'content': '…'}}")
    for message in messages:
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str) or not message.get("content"):
            raise TrainingError(f"{where}: every message needs a role and a content that is not empty")
