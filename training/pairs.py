"""Accepted rows → the rows TRL trains on.

A run folder holds `pairs.jsonl`, or shards of it, or Parquet files: one row per accepted pair, in TRL's
conversational preference format: `prompt` (messages), `chosen` and `rejected` (one assistant message each),
`images` where the task had some, and provenance columns that training does not need. `judge_pairs.jsonl`, from
a meta judge, holds pairs of judgments in the same form; they are trained on with the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from anyprefer.graph.errors import TrainingError

_ANSWERS = ("chosen", "rejected")


def pair_files(*paths: str | Path) -> list[Path]:
    """The pair files of each path: itself, or those of a run folder. Raises `TrainingError` when there are none."""
    if not paths:
        raise TrainingError("no pairs given; name a run folder or a pairs file")
    return [file for path in paths for file in _files(Path(path))]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    names = [f"{stream}*.{suffix}" for stream in ("pairs", "judge_pairs") for suffix in ("jsonl", "parquet")]
    files = [file for name in names for file in sorted(path.glob(name))]
    if not files:
        raise TrainingError(
            f"{path / 'pairs.jsonl' if path.is_dir() else path} does not exist; "
            "name a run folder that holds pairs, or a .jsonl or .parquet file of pairs"
        )
    return files


def load_pairs(*paths: str | Path) -> Dataset:
    """Pairs of all files in order, as columns prompt, chosen, rejected (and images when any row has them).

    Raises `TrainingError` naming file and line for a row that cannot be trained on, and for a path without rows.
    """
    pair_files(*paths)
    rows = [row for path in paths for row in _pairs_of(path)]
    columns = ["prompt", *_ANSWERS, *(["images"] if any(row.get("images") for row in rows) else [])]
    return Dataset.from_list([{name: row.get(name) or [] for name in columns} for row in rows])


def characters(messages: Sequence[Mapping[str, Any]]) -> int:
    """How long a conversation is, before any tokenizer."""
    return sum(len(message["content"]) for message in messages)


def _pairs_of(path: str | Path) -> list[dict[str, Any]]:
    files = pair_files(path)
    rows = [row for file in files for row in _read(file)]
    if not rows:
        raise TrainingError(f"{files[0]} holds no pairs; lower the threshold or play more tasks")
    return rows


def _read(file: Path) -> Iterator[dict[str, Any]]:
    if file.suffix == ".parquet":
        for number, row in enumerate(_parquet(file), start=1):
            yield _checked(row, f"{file}, row {number}")
        return
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                where = f"{file}, line {number}"
                yield _checked(_value(line, where), where)


def _parquet(file: Path) -> list[dict[str, Any]]:
    """Rows as they were before they became columns: a column of several kinds is JSON text."""
    import pyarrow.parquet as parquet

    rows: list[dict[str, Any]] = parquet.read_table(file).to_pylist()
    texts = ("prompt", *_ANSWERS)
    return [{k: json.loads(v) if k in texts and isinstance(v, str) else v for k, v in row.items()} for row in rows]


def _value(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise TrainingError(f"{where}: not JSON ({error}); each line must be one pair") from error


def _checked(row: Any, where: str) -> dict[str, Any]:
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
