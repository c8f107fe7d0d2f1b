"""The tables of a ledger (`ledger.py`): their file, and the tasks with a sum over them that shows damage.

A ledger that cannot be read, or whose tables do not add up, is moved aside; `restore.py` fills a new one.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyprefer.core.disk import check_no_link, move_aside
from anyprefer.core.errors import RunFolderError
from anyprefer.core.records import Outcome, Row
from anyprefer.graph.runs.row_files import digest
from anyprefer.models.calls import Spending

VERSION = 3
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tasks (id TEXT PRIMARY KEY, outcome TEXT, reason TEXT, digest BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS acts (task TEXT, key TEXT, value BLOB, called INTEGER, PRIMARY KEY (task, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spend (round INTEGER, role TEXT, requests INTEGER, calls INTEGER, input_tokens INTEGER,
    output_tokens INTEGER, cost REAL, unpriced INTEGER, PRIMARY KEY (round, role)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, size INTEGER, rows INTEGER, closed INTEGER) WITHOUT ROWID;
"""
_RENEWED = """
ALTER TABLE calls RENAME TO acts;
ALTER TABLE acts RENAME COLUMN answer TO value;
ALTER TABLE acts ADD COLUMN called INTEGER DEFAULT 1;
"""
"""What version 2, which kept model calls alone, lacks; version 1 lacks the sum too."""
_DAMAGE = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR_SHORT_READ}


class Damaged(Exception):
    """A ledger whose tables do not add up."""


DAMAGE = (Damaged, sqlite3.Error, UnicodeDecodeError)
"""What a damaged ledger shows itself by; of SQLite's errors not each is one."""


@dataclass(frozen=True)
class FinishedRow:
    """A finished task as it goes to disk."""

    id: str
    outcome: Outcome
    reason: str
    digest: bytes
    forget: bool
    """Whether the acts it was made from are no longer needed."""
    lines: dict[str, bytes]
    """A JSON line for each stream of row files: `rows`, `pairs`, `judge_pairs`, `failed`."""


def opened(path: Path) -> sqlite3.Connection:
    """The ledger's file, held by this process alone; a damaged one is moved aside and a new one made.

    Raises `RunFolderError` for one of another version, `sqlite3.Error` for one that is in use or cannot be written.
    """
    for suffix in ("", "-wal", "-shm"):
        check_no_link(path.with_name(path.name + suffix))
    try:
        return _connected(path)
    except DAMAGE as error:
        if isinstance(error, sqlite3.Error) and not _is_damage(error):
            raise
        move_aside(path, f"is damaged ({error}), so a new one is made from the rows")
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _connected(path)


def _connected(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
    try:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("BEGIN IMMEDIATE")
        db.execute("COMMIT")
        _check_version(path, db)
        check_sound(db)
    except BaseException:
        db.close()
        raise
    return db


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code in _DAMAGE or code & 0xFF in _DAMAGE


def _check_version(path: Path, db: sqlite3.Connection) -> None:
    [made] = db.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'meta'").fetchone()
    [version] = db.execute("SELECT value FROM meta WHERE name = 'version'").fetchone() or [None] if made else [VERSION]
    if made and not isinstance(version, int):
        raise Damaged("it has no version")
    if version not in (1, 2, VERSION):
        raise RunFolderError(
            f"{path} has schema version {version}, this Anyprefer reads version {VERSION}; "
            f"{'update Anyprefer' if version > VERSION else 'use the Anyprefer that made it'} or choose another folder"
        )
    if not made:
        db.executescript(f"BEGIN; {_SCHEMA} INSERT INTO meta VALUES ('version', {VERSION}); COMMIT;")
    elif version < VERSION:
        _renew(db, version)


def _renew(db: sqlite3.Connection, version: int) -> None:
    tasks = Tasks(db)
    tasks.read()
    db.execute("BEGIN")
    if version == 1:
        tasks.note_sum()
    for change in _RENEWED.strip().splitlines():
        db.execute(change)
    db.execute("UPDATE meta SET value = ? WHERE name = 'version'", (VERSION,))
    db.execute("COMMIT")


def check_sound(db: sqlite3.Connection) -> None:
    """Raises `Damaged`, or SQLite's error, when what is in the tables is not what was put there."""
    [found] = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise Damaged(found.splitlines()[-1])
    [noted] = db.execute("SELECT value FROM meta WHERE name = 'sum'").fetchone() or ["0"]
    if Tasks(db).read() != noted:
        raise Damaged("its tasks do not add up")
    for table in ("spend", "files"):
        for row in db.execute(f"SELECT * FROM {table}"):
            if not all(isinstance(value, int | float) and value >= 0 for value in row if not isinstance(value, str)):
                raise Damaged(f"its {table} are no numbers")


class Tasks:
    """Finished tasks."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._failed: dict[str, int] = {}
        """What each failed task adds to the sum."""
        self._sum = 0
        self.paid: Collection[str] = ()
        """Tasks whose cost is in `spend` whatever the tables of tasks and answers say."""

    def read(self) -> str:
        """Takes up what there is, and returns the sum."""
        self._failed.clear()
        self._sum = 0
        for row in self._db.execute("SELECT id, outcome, reason, digest FROM tasks"):
            self._add(*row)
        return f"{self._sum:x}"

    def put(self, rows: Sequence[FinishedRow]) -> None:
        """Adds finished tasks, or puts them in the place of failed ones."""
        for row in rows:
            self._add(row.id, row.outcome, row.reason, row.digest)
        self._db.executemany(
            "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?)", [(r.id, r.outcome, r.reason, r.digest) for r in rows]
        )
        self._db.executemany("DELETE FROM acts WHERE task = ?", [(row.id,) for row in rows if row.forget])
        if rows:
            self.note_sum()

    def take(self, rows: Iterable[Row]) -> None:
        """Adds tasks by their rows, and what these cost where the ledger does not know it."""
        rows = list(rows)
        for row in rows:
            made = sum(used.calls for used in row.usage.values())
            query = "SELECT COUNT(*) FROM acts WHERE task = ? AND called"
            if row.id not in self.paid and self._db.execute(query, (row.id,)).fetchone()[0] < made:
                add_spending(self._db, _spent_on(row))
        self.put(
            [FinishedRow(row.id, row.outcome, row.reason, _digest(row), row.outcome != "failed", {}) for row in rows]
        )

    def is_finished(self, task: str) -> bool:
        """Whether it is accepted or rejected."""
        found = self._db.execute("SELECT outcome FROM tasks WHERE id = ?", (task,)).fetchone()
        return bool(found) and found[0] != "failed"

    def is_failed(self, task: str) -> bool:
        """Whether it failed and was not played to an end since."""
        return task in self._failed

    def forget_failed(self) -> None:
        """As if the failed ones had never been begun."""
        for value in self._failed.values():
            self._sum ^= value
        self._failed.clear()
        self._db.execute("DELETE FROM tasks WHERE outcome = 'failed'")
        self.note_sum()

    def _add(self, task: str, outcome: str, reason: str, about: bytes) -> None:
        value = _checksum("\0".join(map(str, (task, outcome, reason))).encode("utf-8", "replace") + bytes(about))
        self._sum ^= value ^ self._failed.pop(task, 0)
        if outcome == "failed":
            self._failed[task] = value

    def note_sum(self) -> None:
        """Puts the sum into the ledger."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('sum', ?)", (f"{self._sum:x}",))


def add_spending(db: sqlite3.Connection, spendings: Iterable[Spending]) -> None:
    """Adds up what calls took."""
    db.executemany(
        "INSERT INTO spend VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "requests = requests + excluded.requests, calls = calls + excluded.calls, "
        "input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens, "
        "cost = cost + excluded.cost, unpriced = unpriced + excluded.unpriced",
        [_spend_row(spending) for spending in spendings],
    )


def sealed(answer: bytes) -> bytes:
    """An answer with what shows whether it is whole."""
    return _SEAL + hashlib.blake2b(answer, digest_size=8).digest() + answer


def unsealed(kept: bytes) -> bytes | None:
    """The answer; None when it is damaged. Those of the first version have no seal."""
    if kept[:1] != _SEAL:
        return kept if kept[:1] == b"[" else None
    answer = kept[9:]
    return answer if sealed(answer) == kept else None


_SEAL = b"\x01"


def _checksum(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())


def _digest(row: Row) -> bytes:
    return digest(row.task) if row.task else b""


def _spent_on(row: Row) -> list[Spending]:
    rounds = [(played.number, played.usage) for played in row.rounds if played.usage] or [(1, row.usage)]
    return [Spending(role, number, used, used.calls) for number, usage in rounds for role, used in usage.items()]


def _spend_row(spending: Spending) -> tuple[Any, ...]:
    used = spending.usage
    unpriced = used.calls if used.cost is None else 0
    return (
        spending.round, spending.role, spending.requests, used.calls, used.input_tokens, used.output_tokens, used.cost or 0.0, unpriced,
    )  # fmt: skip
