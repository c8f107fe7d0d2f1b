"""Pairs of earlier iterations, trained on again beside the new ones so that less of what they taught is lost."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from anyprefer.core.values import stable_hash
from anyprefer.training.pair_data.preference_rows import columns_of, preference_file
from anyprefer.training.pair_data.read import pair_files


def replayed(current: Path, earlier: Sequence[Path], share: float, seed: int, file: Path) -> list[Path]:
    """Draw `share` (0..1) of the earlier folders' pairs into `file` (JSONL); returns [file], or [] where none is drawn.

    A pair that `current` holds, or that several folders hold, counts once: equal prompt, chosen and rejected.
    """
    if not earlier or not share:
        return []
    known = {_key(row) for row in _rows(current)}
    others = {key: row for row in _rows(*earlier) if (key := _key(row)) not in known}
    drawn = random.Random(seed).sample(list(others.values()), round(share * len(others)))
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in drawn), encoding="utf-8")
    return [file] if drawn else []


def _rows(*folders: Path) -> Iterator[dict[str, Any]]:
    """The pairs as a run wrote them, whatever their contents are."""
    for file in pair_files(*folders):
        yield from (dict(columns_of(where, row)) for where, row in preference_file(file))


def _key(row: dict[str, Any]) -> str:
    return stable_hash([row["prompt"], row["chosen"], row["rejected"]])
