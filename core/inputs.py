"""Tasks from anywhere: lists, generators, files, data sets, frames (`input_files.py`), row by row (`input_rows.py`).

Rows are read as they are needed. One that is no task becomes a `BadRow`, which the runner turns into
a failed row: the good rows of a partly bad file are still processed.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from anyprefer.core.errors import InputError, near
from anyprefer.core.images import roots_of
from anyprefer.core.input_files import HUB, STDIN, Located, Source, is_data, located_rows, path_of
from anyprefer.core.input_rows import FIELDS, BadRow, Reader
from anyprefer.core.task import Task

LOOKED_AT = 1000
"""Rows in one of which a column must occur."""


def read_tasks(
    source: Source, columns: Mapping[str, str] | None = None, image_roots: Iterable[str | Path] = ()
) -> Iterator[Task | BadRow]:
    """Tasks in order. `columns` maps task fields to the source's columns, e.g. {"prompt": "question"}.

    Columns that are no task field are kept in `Task.meta`. Rows without an id are numbered from 1. `image_roots` are
    further folders from which the images of a file's rows may come (`images.py`).
    Raises `InputError` when the source as a whole cannot be read, and where none of its first rows has a mapped
    column or a prompt.
    """
    columns = dict(columns or {})
    for field in columns:
        if field not in FIELDS:
            raise InputError(f"columns: {field!r} is no task field; they are {', '.join(FIELDS)}")
    beside = _beside(source)
    reader = Reader(columns, roots_of(beside, image_roots) if is_data(source) else None, beside)
    seen = _Seen()
    empty = True
    for number, (where, row) in enumerate(_checked(located_rows(source), reader), 1):
        empty = False
        task = reader.task(where, row, number)
        if seen.before(task.id):
            where_id = f"{task.id} (again, {where})"
            while seen.before(where_id):  # an input may hold such an id itself
                where_id += "'"
            yield BadRow(where_id, f"{where}: id {task.id!r} occurs twice; give every row an id of its own")
            continue
        yield task
    if empty:
        raise InputError(f"{source if isinstance(source, str | Path) else 'the input'} holds no rows")


def _beside(source: Source) -> Path | None:
    """The folder a file lies in; None for what is no file."""
    if not isinstance(source, str | Path) or source == STDIN or str(source).startswith(HUB):
        return None
    path = path_of(source)
    return path if path.is_dir() else path.parent


def _checked(rows: Iterator[Located], reader: Reader) -> Iterator[Located]:
    """The rows. Raises `InputError` where a column that is needed is in none of the first ones."""
    first: list[Located] = []
    missing = {*reader.columns.values(), None}  # None stands for whatever the prompt may be in
    for where, row in rows:
        first.append((where, row))
        if isinstance(row, Mapping):
            missing -= {*row.keys()} | ({None} if reader.prompt_column(row) is not None else set())
        elif not isinstance(row, InputError):
            missing = set()
        if not missing or len(first) == LOOKED_AT:
            break
    there = dict.fromkeys(str(name) for _, row in first if isinstance(row, Mapping) for name in row)
    if missing and there:
        lacking = next((column for column in reader.columns.values() if column in missing), "prompt")
        field = next((field for field, column in reader.columns.items() if column == lacking), "prompt")
        raise InputError(f"{first[0][0]}: no column {lacking!r}; {near(lacking, there)} (map one with {field}=COLUMN)")
    yield from itertools.chain(first, rows)


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
