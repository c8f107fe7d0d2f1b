"""Makes a folder's ledger and row files agree when the folder is opened; no row that was kept is given up.

Row files are written before the commit that names them, so rows may be there that the ledger does not know: those of
a killed run's last commit, or all of them where the ledger was lost, damaged or replaced by an older copy. They are
taken into the ledger, and what they put into `pairs` and `judge_pairs` is looked for, or made again. Other text behind
a run's own rows is moved into a file of its own. Files whose rows are not this run's are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from pydantic import ValidationError

from anyprefer.core.disk import move_aside, open_file, replacing, say, unused
from anyprefer.core.records import Row
from anyprefer.graph.runs.ledger_tables import Tasks
from anyprefer.graph.runs.parquet import parquet_rows
from anyprefer.graph.runs.row_files import Noted, derived, holds, in_batches, named
from anyprefer.graph.runs.shards import Shards

DERIVED = ("pairs", "judge_pairs")
_OURS = b'{"id":"'
"""How every line of a run begins."""


@dataclass
class Found:
    """A file's lines from `start` on."""

    path: Path
    start: int
    rows: int
    """Rows before `start`."""
    closed: int
    known: bool
    """Whether the ledger said the run wrote the file."""
    good: int = 0
    bad: list[tuple[int, int]] = field(default_factory=list)
    """Where lines stand that are none of this run's, and how long they are."""
    torn: int = 0
    """Length of a last line of the run's own that was cut short."""


class Restore:
    """One opening of a folder."""

    def __init__(self, folder: Path, shards: Shards, tasks: Tasks, mine: Callable[[Row], bool]) -> None:
        """`mine` tells whether a row is of this run and not of another whose file lies here."""
        self.folder, self.shards, self.tasks, self._mine = folder, shards, tasks, mine
        self._taken: list[tuple[Path, int]] = []
        self._wanted: dict[str, set[str]] = {stream: set() for stream in DERIVED}
        self._new: set[str] = set()

    def agree(self, known: set[str], sure: bool) -> None:
        """Takes in what the ledger does not know. `known`: names of files it knew; `sure`: it knew tasks, so a file it
        did not know is only the run's when all of it is."""
        for stream in ("rows", "failed"):
            for path in self._there(stream):
                self._take_rows(path, stream, known, sure)
        for stream in DERIVED:
            for path in self._there(stream):
                self._take_derived(path, stream, known)
            self._make_again(stream)
        rewrite_failed(self.folder, self.shards, self.tasks.is_failed)

    def _there(self, stream: str) -> list[Path]:
        """The stream's files, but for those that the ledger knows as Parquet files: nothing is appended to these."""
        held = [holds(self.folder, name, rows) for name, _, rows, _ in self.shards.noted(stream)]
        closed = {path.stem for path in held if path.suffix == ".parquet"}
        return [path for path in named(self.folder, stream) if path.stem not in closed]

    def _is_held(self, path: Path, stream: str) -> bool:
        """Whether the lines were taken in from the Parquet file that took their place."""
        mine = (one for one in self.shards.noted(stream) if one[0] == path.name)
        return any(holds(self.folder, name, rows) != path for name, _, rows, _ in mine)

    def _keep(self, found: Found) -> None:
        """A file of the run's without what is not."""
        if found.good or found.bad or found.torn or not found.known:
            _set_aside(found)
            self.shards.note(found.path.name, found.path.stat().st_size, found.rows + found.good, found.closed)

    # -- rows ----------------------------------------------------------------------------------

    def _take_rows(self, path: Path, stream: str, known: set[str], sure: bool) -> None:
        self._new.clear()
        if path.suffix == ".parquet":
            self._take_parquet(path, stream, known)
            return
        if self._is_held(path, stream):
            return
        found = self._look(path, stream, known, lambda line: self._is_row(_row(line), stream))
        foreign = not found.known and (not found.good or (sure and found.bad))
        if foreign and not (found.torn and not found.bad):
            return
        self._keep(found)
        self._take(path, found.start, stream)

    def _take_parquet(self, path: Path, stream: str, known: set[str]) -> None:
        lines = path.with_suffix(".jsonl").name
        if any(name == lines for name, *_ in self.shards.noted(stream)):
            return
        try:
            rows = [self._is_row(Row.model_validate(row), stream) for row in parquet_rows(path)]
        except Exception:  # whatever Arrow says of a damaged file
            rows = [False]
        if not rows or not all(rows):
            if lines in known:
                move_aside(path, "is damaged")
            return
        self.shards.note(lines, 0, len(rows), 1)
        self._take(path, 0, stream)

    def _is_row(self, row: Row | None, stream: str) -> bool:
        """Whether a row belongs to this run and is not there yet."""
        if row is None or (row.outcome == "failed") != (stream == "failed") or not self._mine(row):
            return False
        if self.tasks.is_finished(row.id) or (stream == "rows" and row.id in self._new):
            return False
        self._new.add(row.id)
        return True

    def _take(self, path: Path, start: int, stream: str) -> None:
        if not self._new:
            return
        for rows in in_batches(_rows_from(path, start), 500):
            self.tasks.take(rows)
            for name, row in ((name, row) for name in DERIVED for row in rows):
                if value := derived(name, row):
                    self._wanted[name].add(value["id"])
        if stream == "rows":
            self._taken.append((path, start))

    # -- what is made of rows ------------------------------------------------------------------

    def _take_derived(self, path: Path, stream: str, known: set[str]) -> None:
        """Keeps the lines of rows that were taken in."""
        wanted = self._wanted[stream]

        def is_wanted(identifier: object) -> bool:
            there = isinstance(identifier, str) and identifier in wanted
            wanted.discard(str(identifier))
            return there

        if path.suffix == ".parquet":
            lines = path.with_suffix(".jsonl").name
            try:
                names = [row.get("id") for row in parquet_rows(path)]
            except Exception:  # whatever Arrow says of a damaged file
                names = [None]
            if names and wanted.issuperset(names):
                wanted.difference_update(names)
                self.shards.note(lines, 0, len(names), 1)
            elif lines in known and not any(name == lines for name, *_ in self.shards.noted(stream)):
                move_aside(path, "is damaged or has rows that are no longer there")
            return
        if self._is_held(path, stream):
            return
        found = self._look(path, stream, known, lambda line: is_wanted(_id(line)))
        if found.known or found.good or (found.torn and not found.bad):
            self._keep(found)

    def _make_again(self, stream: str) -> None:
        wanted = self._wanted[stream]
        if not wanted:
            return
        rows = (row for path, start in self._taken for row in _rows_from(path, start))
        values = (value for row in rows if (value := derived(stream, row)) and value["id"] in wanted)
        for some in in_batches(values, 500):
            with self.shards.appending([{stream: line_of(value)} for value in some]):
                pass

    def _look(self, path: Path, stream: str, known: set[str], is_good: Callable[[bytes], bool]) -> Found:
        noted: Noted = next((one for one in self.shards.noted(stream) if one[0] == path.name), (path.name, 0, 0, 0))
        start = min(noted[1], path.stat().st_size)
        found = Found(path, start, noted[2], noted[3], path.name in known)
        at = start
        for line in _lines(path, start):
            if line.endswith(b"\n") and is_good(line):
                found.good += 1
            elif not line.endswith(b"\n") and line[: len(_OURS)] == _OURS[: len(line)]:
                found.torn = len(line)
            else:
                found.bad.append((at, len(line)))
            at += len(line)
        return found


def rewrite_failed(folder: Path, shards: Shards, still: Callable[[str], bool]) -> None:
    """Keeps the last failed row of each id that is `still` failed, in one file of lines."""
    noted = shards.noted("failed")
    if not noted:
        return
    files = [holds(folder, name, rows) for name, _, rows, _ in noted]
    first = folder / noted[0][0]
    count, last = 0, {}
    for count, line in enumerate(_all_lines(files), 1):
        last[_id(line)] = count
    kept = {number for identifier, number in last.items() if still(identifier)}
    if len(kept) < count or files != [first]:
        lines = (line for number, line in enumerate(_all_lines(files), 1) if number in kept)
        shards.merge([name for name, *_ in noted], lines)
    shards.note(first.name, first.stat().st_size, len(kept), 0)


def line_of(value: object) -> bytes:
    """A value as one line of JSON."""
    return orjson.dumps(value) + b"\n"


def _set_aside(found: Found) -> None:
    """Takes the lines that are not the run's out of a file, into another."""
    path, size = found.path, found.path.stat().st_size
    if found.bad:
        kept = unused(path)
        with path.open("rb") as file, kept.open("xb") as other:
            for at, length in found.bad:
                file.seek(at)
                other.write(file.read(length))
        say(f"{path}: {len(found.bad)} lines that are no rows of this run, or there twice, are kept as {kept.name}")
    end = size - found.torn
    bad = found.bad[:]
    while bad and sum(bad[-1]) == end:
        end = bad.pop()[0]
    if bad:
        with path.open("rb") as file, replacing(path) as other:
            for begin, stop in _between(bad, end):
                file.seek(begin)
                other.write(file.read(stop - begin))
    elif end < size:
        with open_file(path, "r+b") as file:
            file.truncate(end)


def _between(bad: list[tuple[int, int]], end: int) -> Iterator[tuple[int, int]]:
    begin = 0
    for at, length in bad:
        yield begin, at
        begin = at + length
    yield begin, end


def _lines(path: Path, start: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        yield from file


def _all_lines(files: Iterable[Path]) -> Iterator[bytes]:
    for file in files:
        if file.suffix == ".parquet":
            yield from (line_of(row) for row in parquet_rows(file))
        else:
            yield from _lines(file, 0)


def _rows_from(path: Path, start: int) -> Iterator[Row]:
    if path.suffix == ".parquet":
        yield from (Row.model_validate(row) for row in parquet_rows(path))
    else:
        yield from (Row.model_validate(orjson.loads(line)) for line in _lines(path, start))


def _row(line: bytes) -> Row | None:
    try:
        return Row.model_validate(orjson.loads(line))
    except (ValidationError, ValueError):
        return None


def _id(line: bytes) -> str:
    """The id a line gives; empty where it gives none."""
    try:
        value = orjson.loads(line)
    except ValueError:
        return ""
    return str(value.get("id", "")) if isinstance(value, dict) else ""
