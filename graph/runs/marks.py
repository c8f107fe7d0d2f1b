"""What people said of a run's pairs: `reviews.jsonl` in the run folder, one line an act, never changed.

    marks = Marks(folder / FILE)
    marks.add("ana", "sums-0007", "satisfaction", "satisfied")
    marks.current()["ana", "sums-0007"].satisfaction

A later act about the same thing counts instead of the earlier one; undoing is an act too, which names the line it takes
back. Any number of processes may write: each line is appended whole, under a lock. Lines that cannot be read count for
nothing and stay.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from anyprefer.core.disk import check_no_link, open_file, writing
from anyprefer.core.errors import InputError
from anyprefer.core.marks import LEVELS, LONGEST_NOTE, Mark
from anyprefer.core.secrets import scrubber

FILE = "reviews.jsonl"
Field = Literal["better", "satisfaction", "difficulty", "note"]


class Act(BaseModel):
    """One line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str
    at: str
    """UTC, ISO 8601."""
    id: str = ""
    field: Field | None = None
    """None where it undoes."""
    value: str = ""
    undo: int | None = None
    """The line that is taken back, from 0."""


class Marks:
    """A file of acts."""

    def __init__(self, file: Path) -> None:
        """Raises `RunFolderError` for a link, which another could have laid."""
        check_no_link(file)
        self.file = file

    def add(self, by: str, row: str, field: str, value: str) -> None:
        """One more act; returns once it is on the disk. Raises `InputError` for a value that the field does not have,
        `RunFolderError` when it cannot be written."""
        if field not in get_args(Field) or (field in LEVELS and value not in LEVELS[field]):
            allowed = ", ".join(LEVELS.get(field, get_args(Field)))
            raise InputError(f"{field} is not marked {value[:40]!r}; one of {allowed}")
        if len(value) > LONGEST_NOTE:
            raise InputError(f"a note of {len(value)} characters is too long; write at most {LONGEST_NOTE}")
        self._append({"by": by, "at": _now(), "id": row, "field": field, "value": value})

    def undo(self, by: str) -> str:
        """Takes the person's last act back and returns the id of its row; empty where there is none."""
        done = [(line, act) for line, act in self._standing() if act.by == by]
        if not done:
            return ""
        line, act = done[-1]
        self._append({"by": by, "at": _now(), "undo": line})
        return act.id

    def last(self, by: str) -> str:
        """When the person's last act was that stands; empty where there is none."""
        return next((act.at for _, act in reversed(self._standing()) if act.by == by), "")

    def current(self) -> dict[tuple[str, str], Mark]:
        """What stands now, by person and row."""
        said: dict[tuple[str, str], dict[str, Any]] = {}
        for _, act in self._standing():
            said.setdefault((act.by, act.id), {})[str(act.field)] = act.value
        return {who: Mark.model_validate(values) for who, values in said.items()}

    def _standing(self) -> list[tuple[int, Act]]:
        """Acts that were not taken back, with their lines."""
        every = list(self._acts())
        gone = {act.undo for _, act in every}
        return [(line, act) for line, act in every if act.undo is None and line not in gone]

    def _acts(self) -> Iterator[tuple[int, Act]]:
        lines = self.file.read_bytes().splitlines() if self.file.is_file() else []
        for number, line in enumerate(lines):
            if act := _act(line):
                yield number, act

    def _append(self, act: dict[str, Any]) -> None:
        import fcntl

        line = scrubber()(json.dumps(act, ensure_ascii=False)).encode("utf-8", "replace") + b"\n"
        with writing(self.file.parent), open_file(self.file, "ab", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(line if _whole(self.file) else b"\n" + line)
            os.fsync(file.fileno())


def marks_by_row(folder: Path) -> dict[str, list[tuple[str, Mark]]]:
    """What everybody says of a run folder's rows: (who, mark), by row. Empty where nobody marked any."""
    found: dict[str, list[tuple[str, Mark]]] = {}
    if (folder / FILE).is_file():
        for (by, row), mark in Marks(folder / FILE).current().items():
            found.setdefault(row, []).append((by, mark))
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _act(line: bytes) -> Act | None:
    try:
        act = Act.model_validate_json(line)
    except ValidationError:
        return None
    known = act.undo is not None or act.field == "note" or act.value in LEVELS.get(str(act.field), ())
    return act if known else None


def _whole(file: Path) -> bool:
    """Whether its last line is ended: that of a process which was killed may not be."""
    with file.open("rb") as read:
        size = read.seek(0, 2)
        if not size:
            return True
        read.seek(size - 1)
        return read.read(1) == b"\n"
