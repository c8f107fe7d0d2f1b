"""Contents by key in a SQLite file that several processes may share, read and written by a thread of its own.

Another process may hold the file for a while; the event loop never waits for it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from anyprefer.core.errors import RunFolderError

T = TypeVar("T")
_SCHEMA = "CREATE TABLE IF NOT EXISTS samples (key TEXT PRIMARY KEY, content BLOB) WITHOUT ROWID"
_WAIT = 60.0
"""Seconds another process may hold the file."""


class Kept:
    """A file of contents; what is there under a key is never replaced. Not for several threads."""

    def __init__(self, file: str | Path, what: str) -> None:
        """`what` names the file in errors. Raises `RunFolderError` when it cannot be opened."""
        self.file = Path(file)
        self._what = what
        with self._told("opened"):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.file, isolation_level=None, check_same_thread=False, timeout=_WAIT)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(_SCHEMA)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="anyprefer-kept")

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """What is kept under these keys. Raises `RunFolderError` when the file cannot be read."""
        return await self._elsewhere(lambda: dict(self._found(keys)))

    async def keep(self, contents: Mapping[str, bytes]) -> dict[str, bytes]:
        """Keeps contents and returns what is kept: another process may have been first. Returns once it is safe.

        Raises `RunFolderError` when the file cannot be written.
        """

        def write() -> dict[str, bytes]:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT OR IGNORE INTO samples VALUES (?, ?)", contents.items())
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            return dict(self._found(list(contents)))

        return await self._elsewhere(write)

    def under(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Every key that begins so, with its content; waits for the file."""
        with self._told("read"):
            query = "SELECT key, content FROM samples WHERE substr(key, 1, ?) = ?"
            yield from self._db.execute(query, (len(prefix), prefix))

    def close(self) -> None:
        """Lets go of the file."""
        self._thread.shutdown(wait=True)
        self._db.close()

    def _found(self, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        for key in keys:
            yield from self._db.execute("SELECT key, content FROM samples WHERE key = ?", (key,))

    async def _elsewhere(self, work: Callable[[], T]) -> T:
        with self._told("used"):
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise RunFolderError(f"{self._what} {self.file} cannot be {done}: {error}") from error


def weights_stamp(folder: str) -> int:
    """When the weights in a model's folder, or an adapter's, last changed; 0 where there are none.

    A model trained again under the same name is another model.
    """
    path = Path(folder)
    files = [file for kind in ("*.safetensors", "*.bin", "*.gguf") for file in path.glob(kind)] if path.is_dir() else []
    return max((file.stat().st_mtime_ns for file in files), default=0)
