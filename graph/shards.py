"""Row files of a run folder (`STREAMS`): `rows.jsonl`, `pairs.jsonl` and so on, or numbered shards of each.

With `shard_rows` a stream goes on in a new file after so many rows: `rows-00000.jsonl`, …; with
`parquet` each shard becomes `rows-00000.parquet` once it is full or the run ends (and nested columns
of `rows` are kept as JSON text, as is a column whose values are of several kinds). Files only ever grow, or are replaced whole.
`failed` stays JSON Lines: its rows go when their tasks have new ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from anyprefer.graph.errors import RunFolderError

FAILED = "failed"
STREAMS = ("rows", "pairs", "judge_pairs", FAILED)
Noted = tuple[str, int, int, int]
"""File name, size in bytes, rows, whether it is closed (0 or 1)."""


class Shards:
    """The files one writer appends to. Not safe for several threads."""

    def __init__(self, folder: Path, shard_rows: int = 0, parquet: bool = False) -> None:
        """`shard_rows` 0: one file a stream."""
        self.folder = folder
        self._most = shard_rows
        self._parquet = parquet
        self._open: dict[str, IO[bytes]] = {}
        self._noted: dict[str, Noted] = {}
        self._changed: set[str] = set()

    def take_up(self, noted: Sequence[Noted]) -> None:
        """Makes the files what the ledger says they are: cuts off what was not committed.

        Raises `RunFolderError` when a file is shorter than committed, so was changed by someone else.
        """
        self._noted = {name: (name, size, rows, closed) for name, size, rows, closed in noted}
        for name, size, rows, closed in list(self._noted.values()):
            file = self.folder / name
            _settled(file, size)
            if file.with_suffix(".parquet").exists():  # it took the lines' place, or was about to
                file.unlink(missing_ok=True)
                self._note(name, size, rows, 1)
            elif not file.exists() or file.stat().st_size < size:
                raise RunFolderError(f"{file} is shorter than the ledger says: it was changed or removed by hand")
            else:
                _cut(file, size)
                if closed and self._becomes_parquet(name):
                    _to_parquet(file)
        for stream in STREAMS:
            for file in self.folder.glob(f"{stream}*.jsonl"):
                if file.name not in self._noted:
                    _cut(file, 0)

    @contextmanager
    def appending(self, rows: Sequence[dict[str, bytes]]) -> Iterator[None]:
        """Appends lines by stream; when the block raises, the files are as they were."""
        before = dict(self._noted)
        try:
            for stream in STREAMS:
                lines = [row[stream] for row in rows if stream in row]
                while lines:
                    lines = self._append(stream, lines)
            yield
        except BaseException:
            self._take_back(before)
            raise
        for name, _, _, closed in self._noted.values():
            if closed and before.get(name) != self._noted[name] and self._becomes_parquet(name):
                _to_parquet(self.folder / name)

    def rows(self, stream: str) -> int:
        """Rows in a stream's files."""
        return sum(rows for name, _, rows, _ in self._noted.values() if name.startswith(stream))

    @contextmanager
    def thinned(self, stream: str, ids: set[str]) -> Iterator[None]:
        """Leaves the last row of each of these ids in a stream's files. The block commits their new sizes; only then
        do they take the place of the old ones, here or when the folder is opened next."""
        left, thin = set(ids), []
        for name in sorted((name for name in self._noted if name.startswith(stream)), reverse=True):
            if file := self._open.pop(name, None):
                file.close()
            lines = _last_rows(self.folder / name, left)
            thin.append(_fresh(self.folder / name))
            thin[-1].write_bytes(b"".join(lines))
            self._note(name, thin[-1].stat().st_size, len(lines), self._noted[name][3])
        yield
        for fresh in thin:
            fresh.replace(fresh.with_suffix(""))

    def changed(self) -> list[Noted]:
        """Notes of the files that changed since this was last called."""
        names, self._changed = self._changed, set()
        return [self._noted[name] for name in names]

    def finish(self) -> None:
        """Closes the files; the last Parquet shards are made."""
        for file in self._open.values():
            file.close()
        self._open.clear()
        for name, size, rows, closed in list(self._noted.values()):
            if rows and not closed and self._becomes_parquet(name):
                self._note(name, size, rows, 1)
                _to_parquet(self.folder / name)

    def _becomes_parquet(self, name: str) -> bool:
        return self._parquet and not name.startswith(FAILED)

    def _append(self, stream: str, lines: list[bytes]) -> list[bytes]:
        """Appends what fits into the stream's open shard and returns the rest."""
        name, size, rows = self._current(stream)
        room = self._most - rows if self._most else len(lines)
        data = b"".join(lines[:room])
        file = self._open.get(name) or self._open.setdefault(name, (self.folder / name).open("ab", buffering=0))
        written = 0
        while written < len(data):
            written += file.write(data[written:]) or 0
        rows += len(lines[:room])
        full = bool(self._most) and rows >= self._most
        self._note(name, size + len(data), rows, int(full))
        if full:
            self._open.pop(name).close()
        return lines[room:]

    def _current(self, stream: str) -> tuple[str, int, int]:
        """Name, size and rows of the shard that is appended to."""
        shards = sorted(name for name in self._noted if name.startswith(stream))
        if shards:
            name, size, rows, closed = self._noted[shards[-1]]
            if not closed:
                return name, size, rows
        numbered = self._most or self._parquet
        return (f"{stream}-{len(shards):05d}.jsonl" if numbered else f"{stream}.jsonl"), 0, 0

    def _note(self, name: str, size: int, rows: int, closed: int) -> None:
        self._noted[name] = (name, size, rows, closed)
        self._changed.add(name)

    def _take_back(self, before: dict[str, Noted]) -> None:
        for name in set(self._noted) | set(self._open):
            if file := self._open.pop(name, None):
                file.close()
            if self._noted.get(name) != before.get(name) or name not in before:
                path = self.folder / name
                if path.exists():
                    _cut(path, before[name][1] if name in before else 0)
        self._noted = before
        self._changed.clear()


def _fresh(file: Path) -> Path:
    return file.with_suffix(".jsonl.new")


def _last_rows(file: Path, ids: set[str]) -> list[bytes]:
    """The last line of each of these ids, which it takes out of them, in the file's order."""
    lines = []
    for line in reversed(file.read_bytes().split(b"\n")[:-1] if file.exists() else []):
        if (identifier := orjson.loads(line)["id"]) in ids:
            ids.discard(identifier)
            lines.append(line + b"\n")
    return lines[::-1]


def _settled(file: Path, size: int) -> None:
    """Ends what a kill cut short: a thinned file takes the old one's place if its size was committed, else it goes."""
    fresh = _fresh(file)
    if fresh.exists() and fresh.stat().st_size == size:
        fresh.replace(file)
    fresh.unlink(missing_ok=True)


def _cut(file: Path, size: int) -> None:
    if file.stat().st_size > size:
        os.truncate(file, size)


def _to_parquet(file: Path) -> None:
    """Replaces a JSONL shard by a Parquet one."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    rows = [_flat(orjson.loads(line)) for line in file.read_bytes().split(b"\n") if line]
    names = dict.fromkeys(name for row in rows for name in row)
    made = file.with_suffix(".parquet")
    fresh = made.with_suffix(".parquet.new")
    parquet.write_table(arrow.table({name: _column(name, [row.get(name) for row in rows]) for name in names}), fresh)
    fresh.replace(made)
    file.unlink()


_NESTED = ("task", "pair", "rounds", "usage", "models")
_NUMBERS = ("reward", "chosen_score", "rejected_score")
"""Columns that may be empty over a whole shard and are numbers all the same."""


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `rows` with what has no fixed columns as JSON text; a pair as it is."""
    return {name: orjson.dumps(value).decode() if name in _NESTED else value for name, value in row.items()}


def _column(name: str, values: list[Any]) -> Any:
    """An Arrow array; JSON text where the values are of several kinds."""
    import pyarrow as arrow

    try:
        return arrow.array(values, arrow.float64() if name in _NUMBERS else None)
    except (arrow.ArrowException, OverflowError):
        return arrow.array([orjson.dumps(value).decode() for value in values])
