"""How many rows an input has, where that can be told without reading it all into memory."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from anyprefer.core.data_folder import PREFIX, data_file
from anyprefer.core.errors import InputError

_BLOCK = 1 << 20


def count_rows(source: str) -> int | None:
    """Rows of a .jsonl, .json, .csv or .parquet file; None where it is not known (hub, compressed, unreadable)."""
    try:
        path = data_file(source) if source.startswith(PREFIX) else Path(source)
        if path.suffix in (".jsonl", ".ndjson"):
            return _lines(path)
        if path.suffix == ".json":
            return len(json.loads(path.read_bytes()))
        if path.suffix == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as lines:
                return max(0, sum(1 for row in csv.reader(lines) if row) - 1)
        if path.suffix == ".parquet":
            import pyarrow.parquet as parquet

            return int(parquet.ParquetFile(path).metadata.num_rows)
    except (OSError, ValueError, csv.Error, InputError):
        return None
    return None


def _lines(path: Path) -> int:
    count, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            count += block.count(b"\n")
            last = block[-1:]
    return count + (last != b"\n")
