"""Appends to the row files of a run folder (`row_files.py`): one file a stream, or numbered shards of each.

With `format = "jsonl:N"` a stream continues in a new file after N rows; with `parquet` each shard becomes a Parquet file
once it is full or the run ends. Files only ever grow, or are replaced whole; failed rows stay one file of lines, which
is rewritten once their tasks have new rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from anyprefer.core.disk import check_no_link, open_file, replacing, sync_folder
from anyprefer.core.errors import RunFolderError
from anyprefer.graph.runs.parquet import to_parquet
from anyprefer.graph.runs.row_files import STREAMS, Noted, holds, place, there


class Shards:
    """The files one writer appends to. Not safe for several threads."""

    def __init__(self, folder: Path, shard_rows: int = 0, parquet: bool = False) -> None:
        """`shard_rows` 0: one file a stream."""
        self.folder = folder
        self._most = shard_rows
        self._parquet = parquet
        self._open: dict[str, IO[bytes]] = {}
        self._noted: dict[str, Noted] = {}
        self._last: dict[str, str] = {}
        """The newest file of each stream."""
        self._changed: set[str] = set()
        self._touched: dict[str, tuple[int, int]] = {}
        """Inode and former size of each file the batch appends to."""

    # -- what there is -------------------------------------------------------------------------

    def take_up(self, noted: Sequence[Noted]) -> None:
        """The files as the ledger knows them. Raises `RunFolderError` for one that is gone, short, damaged or a link."""
        self._know(noted)
        for name, size, rows, _ in noted:
            check_no_link(self.folder / name)
            file = holds(self.folder, name, rows)
            if place(name)[0] == "failed":
                if not file.is_file():  # its tasks are played again anyway
                    del self._noted[name], self._last["failed"]
            elif there(file, size).suffix == ".parquet":
                (self.folder / name).unlink(missing_ok=True)  # the lines it was made from
            else:
                _check_lines(file, size, rows)

    def make_parquet(self) -> None:
        """Makes Parquet files of closed ones that are still lines."""
        for name, _, rows, closed in self._noted.values() if self._parquet else ():
            if closed and holds(self.folder, name, rows) == self.folder / name:
                to_parquet(self.folder / name)

    def every(self) -> list[Noted]:
        """Notes of all files."""
        self._changed.clear()
        return list(self._noted.values())

    def noted(self, stream: str) -> list[Noted]:
        """The stream's files in order."""
        mine = [one for name, one in self._noted.items() if place(name)[0] == stream]
        return sorted(mine, key=lambda one: place(one[0])[1])

    def note(self, name: str, size: int, rows: int, closed: int) -> None:
        """Says what a file is now."""
        self._noted[name] = (name, size, rows, closed)
        self._changed.add(name)
        stream, number = place(name)
        if number >= place(self._last.get(stream, name))[1]:
            self._last[stream] = name

    def _know(self, noted: Iterable[Noted]) -> None:
        self._noted, self._last = {}, {}
        for one in noted:
            self.note(*one)
        self._changed = set()

    def changed(self) -> list[Noted]:
        """Notes of the files that changed since this was last called."""
        names, self._changed = self._changed, set()
        return [self._noted[name] for name in names]

    # -- appending -----------------------------------------------------------------------------

    @contextmanager
    def appending(self, rows: Sequence[dict[str, bytes]]) -> Iterator[None]:
        """Appends lines by stream and has them on the disk; when the block raises, the files are as they were."""
        before, self._touched = dict(self._noted), {}
        try:
            for stream in STREAMS:
                lines = [row[stream] for row in rows if stream in row]
                while lines:
                    lines = self._append(stream, lines)
            yield
        except BaseException:
            self._take_back(before)
            raise
        if self._parquet:
            for name in self._touched:
                if self._noted[name][3]:
                    to_parquet(self.folder / name)

    def merge(self, names: Sequence[str], lines: Iterable[bytes]) -> None:
        """Puts one file of lines in the place of several."""
        self._close()
        held = [holds(self.folder, name, self._noted[name][2]) for name in names]
        with replacing(self.folder / names[0]) as file:
            file.writelines(lines)
        for name, old in zip(names, held, strict=True):
            if old != self.folder / names[0]:
                old.unlink(missing_ok=True)
            if name != names[0]:
                del self._noted[name]
        self._last["failed"] = names[0]

    def finish(self) -> None:
        """Closes the files; the last Parquet shards are made. Raises `RunFolderError` when a file is no longer there."""
        self._close()
        for name, size, rows, closed in list(self._noted.values()):
            there(holds(self.folder, name, rows), size)
            if self._parquet and rows and not closed and place(name)[0] != "failed":
                self.note(name, size, rows, 1)
                to_parquet(self.folder / name)

    def _append(self, stream: str, lines: list[bytes]) -> list[bytes]:
        """Appends what fits into the stream's open shard and returns the rest."""
        name, size, rows = self._current(stream)
        room = self._most - rows if self._most and stream != "failed" else len(lines) + 1
        data = b"".join(lines[:room])
        file = self._opened(name, size)
        written = 0
        while written < len(data):
            written += file.write(data[written:]) or 0
        os.fsync(file.fileno())
        self.note(name, size + len(data), rows + len(lines[:room]), int(room <= len(lines)))
        if room <= len(lines):
            self._open.pop(name).close()
        return lines[room:]

    def _opened(self, name: str, size: int) -> IO[bytes]:
        """The file to append to, when it is still the one that was written before."""
        path = self.folder / name
        if name not in self._open:
            self._open[name] = open_file(path, "ab", buffering=0)
            if not size:
                sync_folder(self.folder)
        file = self._open[name]
        mine = os.fstat(file.fileno()).st_ino
        try:
            now = path.lstat()
        except OSError:
            now = None
        if now is None or (now.st_ino, now.st_size) != (mine, size):
            raise RunFolderError(f"{path} was removed, replaced or changed by another program while the run wrote it")
        self._touched[name] = (mine, size)
        return file

    def _current(self, stream: str) -> tuple[str, int, int]:
        """Name, size and rows of the shard that is appended to."""
        last = self._last.get(stream)
        if last:
            name, size, rows, closed = self._noted[last]
            if not closed and (stream == "failed" or not self._most or rows < self._most):
                return name, size, rows
        numbered = bool(self._most or self._parquet or last)
        number = place(last)[1] + 1 if last else 0
        while not _free(path := self.folder / (f"{stream}-{number:05d}.jsonl" if numbered else f"{stream}.jsonl")):
            number, numbered = number + numbered, True
        return path.name, 0, 0

    def _take_back(self, before: dict[str, Noted]) -> None:
        """What cannot be taken back is found when the folder is opened next."""
        self._close()
        with suppress(OSError):
            for name, (inode, size) in self._touched.items():
                path = self.folder / name
                with open_file(path, "r+b") as file:
                    if os.fstat(file.fileno()).st_ino == inode:
                        file.truncate(size)
                        if name not in before:
                            path.unlink()
        self._know(before.values())

    def _close(self) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()


def _free(path: Path) -> bool:
    """Whether a run may begin a file there: nothing is, or an empty file."""
    made = path.with_suffix(".parquet")
    return not os.path.lexists(made) and (
        not os.path.lexists(path) or (path.is_file() and not path.is_symlink() and path.stat().st_size == 0)
    )


def _check_lines(file: Path, size: int, rows: int) -> None:
    """Raises `RunFolderError` unless the first `size` bytes are so many whole lines of text."""
    found, left, last = 0, size, b"\n"
    with file.open("rb") as lines:
        while block := lines.read(min(left, 1 << 20)):
            found, left, last = found + block.count(b"\n"), left - len(block), block[-1:]
            if b"\0" in block:
                found = -1
                break
    if found != rows or last != b"\n":
        raise RunFolderError(
            f"{file} is damaged: its first {size:,} bytes are not the {rows:,} lines the ledger says; put it back, or "
            "give the command with --repair, which keeps all whole rows and plays the others again"
        )
