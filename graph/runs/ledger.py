"""The ledger of a run folder: which tasks are done, every act of those that are not, what was spent.

SQLite in WAL mode, written by one thread. What is handed over while a commit is at work goes into the
next one, so thousands of acts a second cost a few hundred commits; nothing counts as kept before its
commit is over. Row files are appended to, and on the disk, before the commit that names their new sizes; what they hold
beyond these is taken in when a folder is opened (`restore.py`), so files and ledger always tell the same. A ledger that
is lost or damaged is rebuilt from the rows.

| table | holds |
|---|---|
| `meta` | the schema's version, and a sum over `tasks` that shows damage |
| `tasks` | id, outcome, reason and a digest of every finished task's input row |
| `acts` | answers, findings and rollouts by what was asked, until their task is accepted or rejected |
| `spend` | calls, tokens and cost per round and role |
| `files` | how long each row file is, and its rows |
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyprefer.core.disk import move_aside, unwritable, writing
from anyprefer.core.errors import RunFolderError
from anyprefer.core.records import Row, Usage
from anyprefer.core.secrets import Scrub
from anyprefer.graph.runs.ledger_tables import FinishedRow, Tasks, add_spending, opened, sealed, unsealed
from anyprefer.graph.runs.restore import Restore, rewrite_failed
from anyprefer.graph.runs.row_files import LEDGER, Noted, holds
from anyprefer.graph.runs.shards import Shards
from anyprefer.models.calls import Spending

LINGER = 0.004
"""Seconds a commit waits for company: short beside any model's answer."""


@dataclass(frozen=True)
class _Act:
    task: str
    key: str
    value: bytes | None
    spending: Spending | None
    """A model call's."""


_Item = _Act | FinishedRow


class Ledger:
    """Opened with a folder's path; `take_up` what is there, and `close` it, so that another process may."""

    def __init__(self, path: Path, shards: Shards, scrub: Scrub) -> None:
        """Raises `RunFolderError` when another process has it open, or a newer version made it."""
        self.path = path
        self._shards = shards
        self._scrub = scrub
        self._pending: list[tuple[_Item, asyncio.Future[None]]] = []
        self._flusher: asyncio.Task[None] | None = None
        self._settled = False
        self._broken = False
        """Whether the last commit could not be made: what is wrong then has been said."""
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="anyprefer-ledger")
        with self._told():
            self._db = opened(path)
        self._tasks = Tasks(self._db)
        self._tasks.read()
        self._inode = path.stat().st_ino

    def take_up(self, mine: Callable[[Row], bool], repair: bool = False) -> None:
        """Makes ledger and row files agree; `mine` tells whether a row is of this run.

        Raises `RunFolderError` for row files that are gone, short or damaged, which `repair` makes the best of: whole
        rows are kept, the others' tasks are played again.
        """
        with self._told(), self._transaction():
            noted = self._db.execute("SELECT name, size, rows, closed FROM files").fetchall()
            self._db.execute("DELETE FROM files")
            if repair:
                self._tasks.paid = {task for (task,) in self._db.execute("SELECT id FROM tasks")}
                self._db.execute("DELETE FROM tasks")
                self._tasks.read()
                self._tasks.note_sum()
            else:
                self._shards.take_up(noted)
            restore = Restore(self.path.parent, self._shards, self._tasks, mine)
            restore.agree({name for name, *_ in noted}, sure=bool(noted) and not repair)
            self._note_files(self._shards.every())
            self._tasks.paid = ()
        with self._told():
            self._shards.make_parquet()

    def set_failed_aside(self) -> None:
        """Failed rows of another command: their tasks are as if they had never been begun."""
        with self._told(), self._transaction():
            for name, rows in self._db.execute("SELECT name, rows FROM files WHERE name LIKE 'failed%'").fetchall():
                file = holds(self.path.parent, name, rows)
                if file.is_file():
                    move_aside(file, "is of a command with other settings or another input")
            self._db.execute("DELETE FROM files WHERE name LIKE 'failed%'")
            self._tasks.forget_failed()

    # -- reading -------------------------------------------------------------------------------

    def count(self) -> int:
        """Tasks that are accepted or rejected."""
        return int(self._one("SELECT COUNT(*) FROM tasks WHERE outcome <> 'failed'"))

    def counts(self) -> dict[str, int]:
        """Finished tasks by outcome."""
        return dict(self._db.execute("SELECT outcome, COUNT(*) FROM tasks GROUP BY outcome"))

    def digests(self, first: str, count: int) -> dict[str, bytes]:
        """The digests of accepted and rejected tasks' input rows by id: `count` at most, from that id on in order."""
        query = "SELECT id, digest FROM tasks WHERE id >= ? AND outcome <> 'failed' ORDER BY id LIMIT ?"
        return dict(self._db.execute(query, (first, count)))

    def has_acts(self) -> bool:
        """Whether anything is kept of an unfinished or failed task."""
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM acts)"))

    def known(self, task: str) -> dict[str, bytes]:
        """What is kept of an unfinished task's acts, by key."""
        found = self._db.execute("SELECT key, value FROM acts WHERE task = ?", (task,))
        return {key: value for key, kept in found if (value := unsealed(kept)) is not None}

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

    async def keep_act(self, task: str, key: str, value: bytes | None, spending: Spending | None) -> None:
        """Keeps what an act brought and took; returns once it is committed (`ActStore`)."""
        kept = None if value is None else self._scrub(value.decode()).encode()
        await self._keep(_Act(task, key, kept, spending))

    async def keep_row(self, row: FinishedRow) -> None:
        """Keeps a finished task; returns once it is committed."""
        await self._keep(row)

    def settle(self) -> None:
        """Waits for the commit that is at work; nothing is kept afterwards."""
        self._settled = True
        self._writer.shutdown(wait=True)

    def close(self) -> None:
        """Lets go of the file, after `settle`."""
        with self._told(), closing(self._db):
            self._check_there()
            if not self._broken:
                rewrite_failed(self.path.parent, self._shards, self._tasks.is_failed)
                self._shards.finish()
                self._note_files(self._shards.changed())
        # which readers leave behind and nothing else removes: a ledger's writer needs none
        self.path.with_name(self.path.name + "-shm").unlink(missing_ok=True)

    def abandon(self) -> None:
        """Lets go of the file, with nothing written."""
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
                items = [item for item, _ in batch]
                if self._settled:
                    closed = RunFolderError(f"run folder {self.path.parent} is closed")
                    errors: list[Exception | None] = [closed] * len(batch)
                else:
                    errors = await loop.run_in_executor(self._writer, self._committed, items)
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
            self._broken = isinstance(error, RunFolderError)
            if len(batch) == 1:
                return [error]
            return [reason for item in batch for reason in self._committed([item])]
        return [None] * len(batch)

    def _commit(self, batch: list[_Item]) -> None:
        acts = [item for item in batch if isinstance(item, _Act)]
        rows = [item for item in batch if isinstance(item, FinishedRow)]
        with self._told():
            self._check_there()
            with self._shards.appending([row.lines for row in rows]), self._transaction():
                self._write_acts(acts)
                self._write_rows(rows)
                self._note_files(self._shards.changed())

    def _write_acts(self, acts: list[_Act]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO acts VALUES (?, ?, ?, ?)",
            [(act.task, act.key, sealed(act.value), bool(act.spending)) for act in acts if act.value is not None],
        )
        add_spending(self._db, [act.spending for act in acts if act.spending])

    def _write_rows(self, rows: list[FinishedRow]) -> None:
        self._tasks.put(rows)

    def _note_files(self, files: Iterable[Noted]) -> None:
        self._db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", files)

    def _check_there(self) -> None:
        """Raises `RunFolderError` when the ledger is no longer where others would find it."""
        try:
            there = self.path.lstat().st_ino == self._inode
        except OSError:
            there = False
        if not there:
            raise RunFolderError(f"{self.path} was removed, moved or replaced while the run wrote it, so the run stops")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            with suppress(sqlite3.Error):
                self._tasks.read()
            raise

    def _one(self, query: str) -> Any:
        found = self._db.execute(query).fetchone()
        return found and found[0]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turns what SQLite and the file system say into one clear line."""
        try:
            with writing(self.path.parent):
                yield
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise RunFolderError(
                    f"run folder {self.path.parent} is being written by another run; wait for it, or close its stream, "
                    f"or the program that has {self.path.name} open"
                ) from error
            raise unwritable(self.path.parent, error) from error


def reasons(folder: Path) -> Iterator[tuple[str, str]]:
    """(outcome, reason) of every task of a closed run folder that was not accepted."""
    with closing(sqlite3.connect(f"{(folder / LEDGER).absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
        yield from db.execute("SELECT outcome, reason FROM tasks WHERE outcome <> 'accepted'")
