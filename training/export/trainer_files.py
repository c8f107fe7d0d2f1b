"""`files/`: rows as JSONL with images as files beside them, for the trainers that read those best.

| file | for | rules |
|---|---|---|
| `train.jsonl`, `dataset_info.json` | LLaMA-Factory | turns alternate and end with the user's; an answer is one message, not a list; as many `<image>` marks as images |
| `swift.jsonl` | ms-swift | `messages` end with the chosen answer; `rejected_response` is a text |
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from anyprefer.training.export.exported_pair import ExportedPair, unmarked

Lines = Iterable[dict[str, Any]]


def write_trainer_files(folder: Path, splits: dict[str, list[ExportedPair]]) -> int:
    """Writes the files; returns how many pairs LLaMA-Factory cannot take, which its file leaves out."""
    folder.mkdir(parents=True, exist_ok=True)
    left_out, info = 0, {}
    for split, pairs in splits.items():
        taken = [one for one in pairs if one.alternates]
        left_out += len(pairs) - len(taken)
        suffix = "" if split == "train" else f"_{split}"
        write_lines(folder / f"{split}.jsonl", map(_factory, taken))
        write_lines(folder / f"swift{suffix}.jsonl", map(_swift, pairs))
        info[f"anyprefer{suffix}"] = _entry(f"{split}.jsonl", taken)
    text = json.dumps(info, indent=2, ensure_ascii=False)
    (folder / "dataset_info.json").write_text(text + "\n", encoding="utf-8")
    return left_out


def write_lines(file: Path, rows: Lines) -> None:
    """JSONL."""
    with file.open("w", encoding="utf-8", newline="\n") as to:
        to.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _factory(one: ExportedPair) -> dict[str, Any]:
    return {
        "messages": list(one.marked),
        "chosen": {"role": "assistant", "content": unmarked(one.chosen)},
        "rejected": {"role": "assistant", "content": unmarked(one.rejected)},
        "images": list(one.images),
        "id": one.id,
    }


def _swift(one: ExportedPair) -> dict[str, Any]:
    margin = {"margin": one.margin} if one.margin is not None else {}
    return {
        "messages": [*one.marked, {"role": "assistant", "content": unmarked(one.chosen)}],
        "rejected_response": unmarked(one.rejected),
        "images": list(one.images),
        **margin,
    }


def _entry(file: str, pairs: Sequence[ExportedPair]) -> dict[str, Any]:
    columns = {name: name for name in ("messages", "chosen", "rejected")}
    if any(one.images for one in pairs):
        columns["images"] = "images"
    return {
        "file_name": file,
        "formatting": "sharegpt",
        "ranking": True,
        "columns": columns,
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    }
