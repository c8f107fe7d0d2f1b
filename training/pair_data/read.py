"""Pairs of files in any form (`pairs_in`, the one way to read them), and as the rows TRL trains on.

A run folder holds `pairs.jsonl`, or shards of it, or Parquet files: one row per accepted pair, in TRL's
conversational preference format: `prompt` (messages), `chosen` and `rejected` (one assistant message each),
`images` where the task had some, and provenance columns that training does not need. `judge_pairs.jsonl`, from
a meta judge, holds pairs of judgments in the same form; they are trained on with the others. A file of other
origin may be in any form of `preference_rows.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from datasets import Dataset

from anyprefer.core.conversation import Message
from anyprefer.core.errors import InputError, TrainingError
from anyprefer.core.images import images_of
from anyprefer.core.input_files import Source
from anyprefer.graph.runs.row_files import row_files
from anyprefer.training.pair_data.preference_rows import Preference, preference_file, read_preference, readable

_ANSWERS = ("chosen", "rejected")


@dataclass(frozen=True)
class Pair:
    """One pair of a file."""

    where: str
    number: int
    """Of its row, from 1; unusable rows are counted too."""
    told: Preference
    images: list[str]
    """As tasks hold them; a path that is not found from here is looked for beside the file."""
    row: Mapping[str, Any]
    """Its columns as they are."""

    @property
    def id(self) -> str:
        """The row's own; empty where it has none."""
        return str(self.row.get("id") or "")


def pairs_in(source: Source) -> Iterator[Pair]:
    """The pairs of a file, `hub:ID` or rows, in order; unusable rows are left out and counted in the log.

    Raises `InputError` naming file and line for a row that is no pair.
    """
    beside = Path(source).parent if isinstance(source, str | Path) else None
    numbers = count(1)

    def read(where: str, row: Any) -> Pair:
        number, told = next(numbers), read_preference(where, row)
        return Pair(where, number, told, _images(where, row, beside), row)

    yield from readable(preference_file(source), read)


def pair_files(*paths: str | Path) -> list[Path]:
    """The pair files of each path: itself, or those of a run folder. Raises `TrainingError` when there are none."""
    if not paths:
        raise TrainingError("no pairs given; name a run folder or a pairs file")
    return [file for path in paths for file in _files(Path(path))]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = [file for stream in ("pairs", "judge_pairs") for file in row_files(path, stream)]
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
    rows = [row for _, found in read_pairs(*paths) for row in found]
    columns = ["prompt", *_ANSWERS, *(["images"] if any(row["images"] for row in rows) else [])]
    return Dataset.from_list([{name: row[name] for name in columns} for row in rows])


def read_pairs(*paths: str | Path) -> list[tuple[Path, list[dict[str, Any]]]]:
    """The same by file; each row also says `where` it stands, and has the prompt with the places of its images as
    `turns`. A file of a folder may hold none."""
    pair_files(*paths)  # all are there before any is read
    return [found for path in paths for found in _of_path(path)]


def _of_path(path: str | Path) -> list[tuple[Path, list[dict[str, Any]]]]:
    found = [(file, _read(file)) for file in pair_files(path)]
    if not any(rows for _, rows in found):
        raise TrainingError(f"{found[0][0]} holds no pairs; lower the threshold or play more tasks")
    return found


def characters(messages: Sequence[Mapping[str, Any]]) -> int:
    """How long a conversation is, before any tokenizer."""
    return sum(len(message["content"]) for message in messages)


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        return [_trained_on(pair) for pair in pairs_in(file)]
    except InputError as error:
        raise TrainingError(str(error)) from error


def _trained_on(pair: Pair) -> dict[str, Any]:
    told = pair.told
    if told.chosen == told.rejected:
        raise InputError(f"{pair.where}: chosen and rejected are equal, so there is nothing to prefer; remove the row")
    return {
        "where": pair.where,
        "prompt": list(told.prompt),
        "chosen": [{"role": "assistant", "content": told.chosen}],
        "rejected": [{"role": "assistant", "content": told.rejected}],
        "images": pair.images,
        "turns": _turns(told.prompt, pair.row.get("prompt")),
    }


def _images(where: str, row: Mapping[str, Any], beside: Path | None) -> list[str]:
    value = row.get("images") or row.get("image") or []
    try:
        found = images_of(value, None, beside)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if found is None:
        raise InputError(f"{where}: the images are of type {type(value).__name__}; give paths, URLs or bytes")
    return found


def _turns(prompt: Sequence[Message], written: Any) -> list[Message]:
    """The prompt's messages with places of images where those of the row have them, as in `core/conversation.py`."""
    told = written if isinstance(written, list) and len(written) == len(prompt) else prompt
    return [{**message, "content": _content(message, one)} for message, one in zip(prompt, told, strict=True)]


def _content(message: Message, written: Any) -> Any:
    parts = written.get("content") if isinstance(written, Mapping) else None
    if not isinstance(parts, list) or not any(_is_place(part) for part in parts):
        return message["content"]
    return [{"type": "image"} if _is_place(part) else {"type": "text", "text": _said(part)} for part in parts]


def _is_place(part: Any) -> bool:
    return isinstance(part, Mapping) and str(part.get("type")).startswith("image")


def _said(part: Any) -> str:
    return str(part["text"] if isinstance(part, Mapping) else part)
