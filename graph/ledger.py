"""The ledger of a run folder: which tasks are done, every answer of those that are not, what was spent.

SQLite in WAL mode, written by one thread. What is handed over while a commit is at work goes into the
next one, so thousands of calls a second cost a few hundred commits; nothing counts as kept before its
commit is over. Row files are appended to before the commit that names their new sizes, and cut back to
the named sizes when a folder is opened, so files and ledger always tell the same.

| table | holds |
|---|---|
| `meta` | the schema's version |
| `tasks` | id, outcome, reason and a digest of every finished task's input row |
| `calls` | answers by question, until their task is accepted or rejected |
| `spend` | calls, tokens and cost per round and role |
| `files` | how long each row file is, and its rows |
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyprefer.graph.calls import Spending
from anyprefer.graph.errors import RunFolderError
from anyprefer.graph.secrets import Scrub
from anyprefer.graph.shards import FAILED, Shards
from anyprefer.graph.state import Outcome, Usage

FILE = "ledger.db"
VERSION = 1
LINGER = 0.004
"""Seconds a commit waits for company: short beside any model's answer."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tasks (id TEXT PRIMARY KEY, outcome TEXT, reason TEXT, digest BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (task TEXT, key TEXT, answer BLOB, PRIMARY KEY (task, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spend (round INTEGER, role TEXT, requests INTEGER, calls INTEGER, input_tokens INTEGER,
    output_tokens INTEGER, cost REAL, unpriced INTEGER, PRIMARY KEY (round, role)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, size INTEGER, rows INTEGER, closed INTEGER) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class _Call:
    task: str
    key: str
    answer: bytes | None
    spending: Spending


@dataclass(frozen=True)
class FinishedRow:
    """A finished task as it goes to disk."""

    id: str
    outcome: Outcome
    reason: str
    digest: bytes
    forget: bool
    """Whether the answers it was made from are no longer needed."""
    lines: dict[str, bytes]
    """A JSON line for each stream of row files: `rows`, `pairs`, `judge_pairs`, `failed`."""


_Item = _Call | FinishedRow


class Ledger:
    """Opened with a folder's path; `close` it, so that another process may."""

    def __init__(self, path: Path, shards: Shards, scrub: Scrub) -> None:
        """Raises `RunFolderError` when another process has it open, or a newer version made it."""
        self.path = path
        self._shards = shards
        self._scrub = scrub
        self._pending: list[tuple[_Item, asyncio.Future[None]]] = []
        self._flusher: asyncio.Task[None] | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="anyprefer-ledger")
        with self._told():
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise

    def _open(self) -> None:
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("COMMIT")
        self._check_version()
        self._take_up()

    # -- reading -------------------------------------------------------------------------------

    def count(self) -> int:
        """Finished tasks; failed ones, which are played again, are not."""
        return int(self._one("SELECT COUNT(*) FROM tasks WHERE outcome <> 'failed'"))

    def counts(self) -> dict[str, int]:
        """Rows by outcome; a failed task counts until it has a new row."""
        return dict(self._db.execute("SELECT outcome, COUNT(*) FROM tasks GROUP BY outcome"))

    def digests(self, first: str, count: int) -> dict[str, bytes]:
        """The digests of finished tasks' input rows by id: `count` of them at most, from that id on in order."""
        query = "SELECT id, digest FROM tasks WHERE id >= ? AND outcome <> 'failed' ORDER BY id LIMIT ?"
        return dict(self._db.execute(query, (first, count)))

    def has_answers(self) -> bool:
        """Whether any unfinished or failed task has answers."""
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM calls)"))

    def known(self, task: str) -> dict[str, bytes]:
        """Answers an unfinished task already has, by key."""
        return dict(self._db.execute("SELECT key, answer FROM calls WHERE task = ?", (task,)))

    def spent(self) -> dict[tuple[int, str], Usage]:
        """What was spent, per round and role; answers of unfinished tasks are among it."""
        query = "SELECT round, role, calls, input_tokens, output_tokens, cost, unpriced FROM spend"
        return {
            (number, role): Usage(
                calls=calls, input_tokens=read, output_tokens=written, cost=None if unpriced else cost
            )
            for number, role, calls, read, written, cost, unpriced in self._db.execute(query)
        }

    def total(self) -> Usage:
        """What was spent in all; its calls are requests, retries among them, its cost that of known prices."""
        used = self.spent().values()
        cost = float(self._one("SELECT SUM(cost) FROM spend") or 0.0)
        read, written = sum(one.input_tokens for one in used), sum(one.output_tokens for one in used)
        return Usage(calls=self.requests(), input_tokens=read, output_tokens=written, cost=cost)

    def requests(self) -> int:
        """Requests sent so far, retries among them; those of calls in flight when the run ended are not."""
        return int(self._one("SELECT SUM(requests) FROM spend") or 0)

    # -- writing -------------------------------------------------------------------------------

    async def keep_call(self, task: str, key: str, answer: bytes | None, spending: Spending) -> None:
        """Keeps one answer and what it took; returns once they are committed."""
        kept = None if answer is None else self._scrub(answer.decode()).encode()
        await self._keep(_Call(task, key, kept, spending))

    async def keep_row(self, row: FinishedRow) -> None:
        """Keeps a finished task; returns once it is committed."""
        await self._keep(row)

    def settle(self) -> None:
        """Waits for the commit that is at work; nothing is kept afterwards."""
        self._writer.shutdown(wait=True)

    def close(self) -> None:
        """Lets go of the file, after `settle`."""
        with self._told():
            self._drop_replaced()
            self._shards.finish()
            self._note_files()
            self._db.close()

    def _keep(self, item: _Item) -> Awaitable[None]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._pending.append((item, done))
        if self._flusher is None:
            self._flusher = loop.create_task(self._flush())
        return done

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._pending:
                await asyncio.sleep(LINGER)
                batch, self._pending = self._pending, []
                errors = await loop.run_in_executor(self._writer, self._committed, [item for item, _ in batch])
                for (_, done), error in zip(batch, errors, strict=True):
                    if not done.done():
                        done.set_exception(error) if error else done.set_result(None)
        finally:
            self._flusher = None

    def _committed(self, batch: list[_Item]) -> list[Exception | None]:
        """Commits a batch; what kept each item from it. One that cannot be kept must not take the others with it."""
        try:
            self._commit(batch)
        except Exception as error:
            if len(batch) == 1:
                return [error]
            return [reason for item in batch for reason in self._committed([item])]
        return [None] * len(batch)

    def _commit(self, batch: list[_Item]) -> None:
        calls = [item for item in batch if isinstance(item, _Call)]
        rows = [item for item in batch if isinstance(item, FinishedRow)]
        with self._told(), self._shards.appending([row.lines for row in rows]):
            self._db.execute("BEGIN")
            try:
                self._write_calls(calls)
                self._write_rows(rows)
                self._note_files()
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def _write_calls(self, calls: list[_Call]) -> None:
        if not calls:
            return
        self._db.executemany(
            "INSERT OR REPLACE INTO calls VALUES (?, ?, ?)",
            [(call.task, call.key, call.answer) for call in calls if call.answer is not None],
        )
        self._db.executemany(
            "INSERT INTO spend VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "requests = requests + excluded.requests, calls = calls + excluded.calls, "
            "input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens, "
            "cost = cost + excluded.cost, unpriced = unpriced + excluded.unpriced",
            [_spend_row(call.spending) for call in calls],
        )

    def _write_rows(self, rows: list[FinishedRow]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?)", [(r.id, r.outcome, r.reason, r.digest) for r in rows]
        )
        self._db.executemany("DELETE FROM calls WHERE task = ?", [(row.id,) for row in rows if row.forget])

    def _note_files(self) -> None:
        self._db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", self._shards.changed())

    # -- opening -------------------------------------------------------------------------------

    def _check_version(self) -> None:
        made = self._one("SELECT COUNT(*) FROM sqlite_master WHERE name = 'meta'")
        version = int(self._one("SELECT value FROM meta WHERE name = 'version'") or 0) if made else VERSION
        if version != VERSION:
            raise RunFolderError(
                f"{self.path} has schema version {version}, this Anyprefer reads version {VERSION}; "
                f"{'update Anyprefer' if version > VERSION else 'use the Anyprefer that made it'} or choose another folder"
            )
        if not made:
            self._db.executescript(f"BEGIN; {_SCHEMA} INSERT INTO meta VALUES ('version', {VERSION}); COMMIT;")

    def _take_up(self) -> None:
        """Cuts row files back to what was committed."""
        self._shards.take_up(self._db.execute("SELECT name, size, rows, closed FROM files").fetchall())
        self._drop_replaced()

    def _drop_replaced(self) -> None:
        """Failed rows leave their files once their tasks have new ones."""
        failed = {identifier for (identifier,) in self._db.execute("SELECT id FROM tasks WHERE outcome = 'failed'")}
        if self._shards.rows(FAILED) == len(failed):
            return
        with self._shards.thinned(FAILED, failed):
            self._db.execute("BEGIN")
            self._note_files()
            self._db.execute("COMMIT")

    def _one(self, query: str) -> Any:
        found = self._db.execute(query).fetchone()
        return found and found[0]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turns what SQLite and the file system say into one clear line."""
        try:
            yield
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise RunFolderError(
                    f"run folder {self.path.parent} is being written by another run; wait for it, or close its stream"
                ) from error
            raise unwritable(self.path.parent, error) from error
        except OSError as error:
            raise unwritable(self.path.parent, error.strerror or error) from error


def finished(folder: Path) -> int:
    """How many tasks of a run folder are finished, failed ones among them; 0 where there is no ledger yet."""
    if not (folder / FILE).is_file():
        return 0
    with closing(sqlite3.connect(folder / FILE, timeout=1.0)) as db:
        try:
            return int(db.execute("SELECT COUNT(*) FROM tasks").fetchone()[0])
        except sqlite3.Error:
            return 1  # in use, or not ours: as good as full


def reasons(folder: Path) -> Iterator[tuple[str, str]]:
    """(outcome, reason) of every task of a closed run folder that was not accepted."""
    with closing(sqlite3.connect(f"{(folder / FILE).absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
        yield from db.execute("SELECT outcome, reason FROM tasks WHERE outcome <> 'accepted'")


def unwritable(folder: Path, words: object) -> RunFolderError:
    """The error for a disk that is full, read-only or gone."""
    return RunFolderError(
        f"run folder {folder} cannot be written: {words}; rows and answers kept so far are safe, "
        "mend the disk and give the same command again"
    )


def _spend_row(spending: Spending) -> tuple[Any, ...]:
    used = spending.usage
    unpriced = used.calls if used.cost is None else 0
    return (
        spending.round, spending.role, spending.requests, used.calls, used.input_tokens, used.output_tokens, used.cost or 0.0, unpriced,
    )  # fmt: skip
