"""Row files as Parquet: one shard of lines becomes one file, and is read back as the lines were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from anyprefer.core.disk import move_aside

MARK = b"anyprefer"
"""Key of the file's metadata that says from which lines it was made."""
_NESTED = ("task", "pair", "rounds", "usage", "models")
"""Columns of rows that are JSON text: what they hold has no fixed columns. Those of pairs are as they are."""
_NUMBERS = ("reward", "chosen_score", "rejected_score")
"""Columns that may be empty over a whole shard and are numbers all the same."""


def to_parquet(lines: Path) -> None:
    """Replaces a file of lines by a Parquet file beside it; one there that was not made from these lines is kept aside."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    nested = _nested(lines)
    rows = [_flat(orjson.loads(line), nested) for line in lines.read_bytes().split(b"\n") if line]
    names = dict.fromkeys(name for row in rows for name in row)
    table = arrow.table({name: _column(name, [row.get(name) for row in rows]) for name in names})
    made = lines.with_suffix(".parquet")
    fresh = made.with_suffix(".parquet.new")
    try:
        parquet.write_table(table.replace_schema_metadata({MARK: lines.name}), fresh)
        if made.exists() and not took_place_of(made, lines, len(rows)):
            move_aside(made, "stands where the run's own rows go")
        fresh.replace(made)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    lines.unlink()


def took_place_of(made: Path, lines: Path, rows: int) -> bool:
    """Whether a Parquet file holds what the lines held, so many rows. Without a mark it does where they are gone."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    try:
        about = parquet.read_metadata(made)
    except (OSError, arrow.ArrowException):
        return False
    marked = (about.metadata or {}).get(MARK) == lines.name.encode()
    return about.num_rows == rows and (marked or not lines.exists())


def parquet_rows(file: Path) -> Iterator[dict[str, Any]]:
    """The rows as they were in lines."""
    import pyarrow.parquet as parquet

    nested = _nested(file)
    for batch in parquet.ParquetFile(file).iter_batches(1000):
        for row in batch.to_pylist():
            yield {
                name: orjson.loads(value) if name in nested and isinstance(value, str) else value
                for name, value in row.items()
            }


def _nested(file: Path) -> tuple[str, ...]:
    """A pair's columns of these names are the user's own."""
    return () if "pairs" in file.name else _NESTED


def _flat(row: dict[str, Any], nested: tuple[str, ...]) -> dict[str, Any]:
    return {name: orjson.dumps(value).decode() if name in nested else value for name, value in row.items()}


def _column(name: str, values: list[Any]) -> Any:
    """An Arrow array; JSON text where the values are of several kinds."""
    import pyarrow as arrow

    try:
        return arrow.array(values, arrow.float64() if name in _NUMBERS else None)
    except (arrow.ArrowException, OverflowError):
        return arrow.array([orjson.dumps(value).decode() for value in values])
