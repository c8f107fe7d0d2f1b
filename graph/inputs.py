"""Tasks from anywhere: an iterable, a JSONL, JSON, CSV or Parquet file, a `datasets` data set, a hub id, `data:FILE`.

Rows are read as they are needed. One that is no task becomes a `BadRow`, which the runner turns into
a failed row: the good rows of a partly bad file are still processed.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from pydantic import TypeAdapter, ValidationError

from anyprefer.graph.conversation import normal
from anyprefer.graph.data import PREFIX, data_file
from anyprefer.graph.errors import InputError
from anyprefer.graph.state import Task

Source = str | Path | Iterable[Any]
Located = tuple[str, Any]
"""Where a row stands, and the row: a mapping, a Task, a prompt, or an `InputError`."""
FIELDS = Task.model_fields
"""Looked up once: pydantic makes every look-up on the class a search."""
_VALIDATOR = TypeAdapter(Task)


class EmptyLine(InputError):
    """A line of a JSONL file with nothing in it."""


@dataclass(frozen=True)
class BadRow:
    """An input row that is no task. Both texts are valid Unicode, whatever the row held."""

    id: str
    error: str
    """Names the input, the row and the mend."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", printable(self.id))
        object.__setattr__(self, "error", printable(self.error))


def read_tasks(source: Source, columns: Mapping[str, str] | None = None) -> Iterator[Task | BadRow]:
    """Tasks in order. `columns` maps task fields to the source's columns, e.g. {"prompt": "question"}.

    Columns that are no task field are kept in `Task.meta`. Rows without an id are numbered from 1.
    Raises `InputError` when the source as a whole cannot be read.
    """
    columns = dict(columns or {})
    for field in columns:
        if field not in FIELDS:
            raise InputError(f"columns: {field!r} is no task field; they are {', '.join(FIELDS)}")
    seen = _Seen()
    empty = True
    for number, (where, row) in enumerate(located_rows(source), 1):
        empty = False
        task = _task(where, row, number, columns)
        if seen.before(task.id):
            where_id = f"{task.id} (again, {where})"
            yield BadRow(where_id, f"{where}: id {task.id!r} occurs twice; give every row an id of its own")
            continue
        yield task
    if empty:
        raise InputError(f"{source if isinstance(source, str | Path) else 'the input'} holds no rows")


class _Seen:
    """Ids that occurred, in a temporary file: an input of millions of rows takes no memory."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=OFF")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute("CREATE TABLE seen (id TEXT PRIMARY KEY) WITHOUT ROWID")
        self._db.execute("BEGIN")
        self._cursor = self._db.cursor()

    def before(self, identifier: str) -> bool:
        """Whether it occurred before; from now on it has."""
        return self._cursor.execute("INSERT OR IGNORE INTO seen VALUES (?)", (identifier,)).rowcount == 0


def _task(where: str, row: Any, number: int, columns: Mapping[str, str]) -> Task | BadRow:
    fallback = f"row-{number:06d}"
    if not isinstance(row, dict):
        if isinstance(row, Task):
            return row if row.id == printable(row.id) else BadRow(row.id, f"{where}: id {row.id!r} has no JSON form")
        if isinstance(row, InputError):
            return BadRow(fallback, f"{where}: {row}")
        if isinstance(row, str):
            row = {"prompt": row}
        if not isinstance(row, Mapping):
            return BadRow(fallback, f"{where}: a row must be an object with a prompt, not {type(row).__name__}")
    fields: dict[str, Any] = {}
    others: dict[str, Any] = {}
    taken = columns.values()
    for key, value in row.items():
        if key in FIELDS and key not in taken:
            fields[key] = value
        elif key not in taken:
            others[str(key)] = value
    if columns:
        fields |= {field: row[column] for field, column in columns.items() if column in row}
    prompt_column = columns.get("prompt", "prompt")
    if prompt_column not in row:
        there = ", ".join(map(str, row)) or "none"
        return BadRow(fallback, f"{where}: no column {prompt_column!r}; it has: {there} (map one with prompt=COLUMN)")
    given_id = fields.get("id")
    identifier = fallback if given_id is None else str(given_id).strip() or fallback
    try:
        values = plain(fields)
        if None in values.values() or "" in values.values():
            values = {field: value for field, value in values.items() if value not in (None, "")}
        values["id"] = identifier
        if isinstance(values.get("prompt"), list):
            values |= normal(values["prompt"], values.get("system"), values.get("images", ()))
        if (
            not isinstance(values.get("prompt"), str | tuple)
            or not values["prompt"]
            or not str(values["prompt"]).strip()
        ):
            raise InputError(f"column {prompt_column!r} is empty or no text; give the row a prompt")
        if others:
            values["meta"] = {**values.get("meta", {}), **plain(others)}
        return _VALIDATOR.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        return BadRow(identifier, f"{where}: column {'.'.join(map(str, first['loc']))!r}: {first['msg']}")
    except (InputError, TypeError, ValueError, RecursionError) as error:
        return BadRow(identifier, f"{where}: {error}")


def plain(value: Any) -> Any:
    """The value as JSON has it: arrays become lists, dates and the like text, NaN and infinity null.

    Raises `ValueError` or `TypeError` for what has no JSON form, half a surrogate pair among it.
    """
    if type(value) is dict and all(map(_is_plain, value.values())):
        return value
    text = json.dumps(value, default=_listed, ensure_ascii=False)
    return json.loads(text.encode(), parse_constant=lambda name: None)


def _is_plain(value: Any) -> bool:
    return (type(value) is str and value.isascii()) or value is None or type(value) in (int, bool)


def printable(text: str) -> str:
    """The text as valid Unicode; what is not is escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _listed(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def located_rows(source: Source) -> Iterator[Located]:
    """The source's rows as they are, each with where it stands; what is no row is an `InputError` in its place."""
    if isinstance(source, str) and source.startswith("hub:"):
        yield from _numbered(_hub(source.removeprefix("hub:")), source)
    elif isinstance(source, str | Path):
        path = data_file(source) if isinstance(source, str) and source.startswith(PREFIX) else Path(source)
        if not path.is_file():
            raise InputError(f"input {source} is not a file; a data set on a hub is written hub:ID or hub:ID:SPLIT")
        yield from _file(path)
    elif isinstance(source, Mapping | Task) or hasattr(source, "iterrows") or not isinstance(source, Iterable):
        kind = type(source).__name__
        raise InputError(
            f"input of type {kind} is no list of rows; pass a list, one split, or frame.to_dict('records')"
        )
    else:
        yield from _numbered(source, "input")


def _numbered(rows: Iterable[Any], name: str) -> Iterator[Located]:
    for number, row in enumerate(rows, 1):
        yield f"{name}, row {number}", row


def _file(path: Path) -> Iterator[Located]:
    kind = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    try:
        if kind in (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz"):
            with _open(path) as lines:
                yield from _jsonl(lines, path)
        elif kind == ".json":
            rows = json.loads(path.read_text(encoding="utf-8-sig"))
            if not isinstance(rows, list):
                raise InputError(f"{path} holds one object, not a list of rows; use JSONL or a list")
            yield from _numbered(rows, str(path))
        elif kind == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as lines:
                yield from _numbered(csv.DictReader(lines), str(path))
        elif kind == ".parquet":
            import pyarrow.parquet as parquet

            batches = parquet.ParquetFile(path).iter_batches(batch_size=1024)
            yield from _numbered(itertools.chain.from_iterable(batch.to_pylist() for batch in batches), str(path))
        else:
            raise InputError(f"{path}: unknown kind {kind!r}; use .jsonl, .json, .csv or .parquet")
    except InputError:
        raise
    except (OSError, ValueError, EOFError, RecursionError, csv.Error, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _open(path: Path) -> TextIO:
    """Bytes that are no UTF-8 pass here and are found in their row, so that the other rows are still read."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="surrogateescape")
    return path.open(encoding="utf-8-sig", errors="surrogateescape")


def _jsonl(lines: Iterable[str], path: Path) -> Iterator[Located]:
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}"
        if not line.strip():
            yield where, EmptyLine("the line is empty; remove it or put a JSON object there")
            continue
        try:
            row = json.loads(line)
            line.encode()
        except UnicodeEncodeError:
            row = InputError("the line is not UTF-8; write the file as UTF-8")
        except (ValueError, RecursionError) as error:
            row = InputError(f"not JSON ({error}); mend the line")
        yield where, row


def _hub(name: str) -> Iterable[Any]:
    """`ID`, `ID:SPLIT` or `ID:CONFIG:SPLIT`, streamed."""
    from datasets import load_dataset

    parts = name.split(":")
    identifier, config, split = parts[0], parts[1] if len(parts) > 2 else None, parts[-1] if len(parts) > 1 else "train"
    try:
        loaded: Iterable[Any] = load_dataset(identifier, config, split=split, streaming=True)
    except Exception as error:
        raise InputError(f"hub data set {identifier!r} (split {split!r}) cannot be loaded: {error}") from error
    return loaded
