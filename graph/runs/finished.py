"""A run that is finished gives its rows back from the folder: no model is loaded, nothing is asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from anyprefer.core.errors import RunFolderError
from anyprefer.core.input_rows import BadRow
from anyprefer.core.records import Row
from anyprefer.core.secrets import scrubber
from anyprefer.core.settings import Settings
from anyprefer.core.task import Task
from anyprefer.graph.runs.identity import holds_run, read_before
from anyprefer.graph.runs.ledger_tables import DAMAGE, check_sound
from anyprefer.graph.runs.row_files import LEDGER, is_of, read_rows, row_files


def finished_ids(folder: Path, settings: Settings, source: str, tasks: Iterable[Task | BadRow]) -> set[str] | None:
    """The tasks' ids, when the folder holds a row of each that was made with these settings and this input; else None.

    A folder that is damaged, in use or was left by a killed run is never finished: it has to be opened.
    """
    ledger = (folder / LEDGER).absolute()
    try:
        if not holds_run(folder) or not ledger.is_file() or ledger.with_name(LEDGER + "-wal").exists():
            return None
        before = read_before(folder)
        models = {role: name for role, name in ((before and before.models) or {}).items() if role != "graph"}
        if before is None or before.differs(settings, models, source):
            return None
        row_files(folder, "rows")  # all there
        with closing(sqlite3.connect(f"{ledger.as_uri()}?immutable=1", uri=True)) as db:
            check_sound(db)
            return _all_in(db, tasks)
    except (OSError, RunFolderError, *DAMAGE):
        return None


def _all_in(db: sqlite3.Connection, tasks: Iterable[Task | BadRow]) -> set[str] | None:
    scrub = scrubber()
    ids: set[str] = set()
    for task in tasks:
        found = db.execute("SELECT digest, outcome FROM tasks WHERE id = ?", (task.id,)).fetchone()
        if found is None or found[1] == "failed" or not is_of(found[0], task, scrub):
            return None
        ids.add(task.id)
    return ids


def rows_again(folder: Path, ids: set[str]) -> Iterator[Row]:
    """The kept rows of these tasks."""
    return (row for row in read_rows(folder) if row.id in ids)
