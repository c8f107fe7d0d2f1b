"""A run folder: what a run was, and every row it made.

| file | holds |
|---|---|
| `settings.json` | the settings, whole |
| `rows.jsonl` | accepted and rejected rows with their provenance: rounds, candidates, knowledge, scores, prompts, cost |
| `pairs.jsonl` | accepted pairs as TRL takes them: prompt, chosen, rejected, and scalar columns |
| `judge_pairs.jsonl` | pairs of judgments in the same form, from a meta judge, of accepted and rejected rows |
| `failed.jsonl` | failed rows in full; a resumed run plays them again, and a row stays until its task has a new one |
| `ledger.db` | which tasks are done, acts of those that are not, what was spent (see `ledger.py`) |
| `prompts.jsonl` | versions of prompts shared by all tasks, where `prompt_scope` says so (see `graph/dataset_prompts.py`) |
| `run.json` | players, versions, seed, counts and cost; written when a run starts and when it ends |

Row files may be sharded (see `shards.py`). A folder is opened with the same call whether it is new or
resumed.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from anyprefer.core.disk import check_locks, write_json, writing
from anyprefer.core.errors import RunFolderError
from anyprefer.core.input_rows import BadRow
from anyprefer.core.records import Row, Usage
from anyprefer.core.secrets import scrubber
from anyprefer.core.settings import RunSettings
from anyprefer.core.task import Task
from anyprefer.core.versions import versions
from anyprefer.graph.runs.identity import RUN, SETTINGS, now, read_before, write_card
from anyprefer.graph.runs.ledger import Ledger
from anyprefer.graph.runs.ledger_tables import FinishedRow
from anyprefer.graph.runs.restore import DERIVED
from anyprefer.graph.runs.row_files import LEDGER, derived, digest, is_of, named, row_files, rows_of
from anyprefer.graph.runs.shards import Shards
from anyprefer.graph.runs.tool_use import ToolUse

PARQUET_ROWS = 100_000
"""Rows of a Parquet shard where `format` says nothing: one is made in memory."""


class RunFolder:
    """Opened with `open`; finished rows go to `keep`, answers to `ledger`."""

    def __init__(
        self,
        path: str | Path,
        settings: RunSettings,
        models: Mapping[str, str],
        source: str = "",
        repair: bool = False,
    ) -> None:
        """A new folder, or one to resume: accepted and rejected rows stay, failed ones are played again.

        `source` names the input; `repair` makes the best of a damaged folder. Raises `RunFolderError` for a folder
        that holds something else, naming the settings or the input that differ: two experiments in one folder are
        refused.
        """
        self.path = Path(path)
        self.settings = settings
        self.models = dict(models)
        self.source = source
        self.refused: Callable[[], Mapping[str, Any]] = dict
        """What the run's models refused of their requests, for run.json."""
        self.tools = ToolUse.noted_in(self.path / RUN)
        """How often which tool was used."""
        self._scrub = scrubber()
        self._began = time.monotonic()
        self._ahead: dict[str, bytes] = {}
        self._reach = 1
        with writing(self.path):
            self._check()
            self.path.mkdir(parents=True, exist_ok=True)
            check_locks(self.path)
        self.ledger = Ledger(self.path / LEDGER, self._shards(), self._scrub)
        try:
            with writing(self.path):
                self._take_up(repair)
        except BaseException:
            self.ledger.abandon()
            raise
        self.kept = self.ledger.count()
        """Rows that were finished when the folder was opened."""
        self.resumed = bool(self.kept) or self.ledger.has_acts()
        """Whether tasks may have been finished, or begun, before."""

    def _check(self) -> None:
        """Whether the path may be a run folder."""
        if self.path.is_symlink() and not self.path.exists():
            raise RunFolderError(f"{self.path} is a link to nothing; remove it, or make the folder it names")
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            return
        if not self.path.is_dir() or not any((self.path / name).is_file() for name in (SETTINGS, LEDGER)):
            raise RunFolderError(f"{self.path} exists and is no run folder; choose another with --out")

    def _shards(self) -> Shards:
        form, _, rows = self.settings.format.partition(":")
        parquet = form == "parquet"
        return Shards(self.path, int(rows or (PARQUET_ROWS if parquet else 0)), parquet)

    def _take_up(self, repair: bool) -> None:
        """What is there, once it is known to be of the same run."""
        before = read_before(self.path, repair)
        first = self._first()
        if before is None and first and not (repair and self._is_mine(first)):
            raise RunFolderError(
                f"{self.path / SETTINGS} is gone, which says what the rows were made with; put it back, or give the "
                f"command with --repair, which takes this command's settings (the rows' models: {first.models})"
            )
        changed = before.differs(self.settings, self.models, self.source) if before else ""
        if changed and (first or self.ledger.count()):
            raise RunFolderError(
                f"run folder {self.path} was made with other settings: {changed}; choose another folder"
            )
        self._started = (before and before.started) or now()
        self._seconds = before.seconds if before else 0.0
        if changed:
            self.ledger.set_failed_aside()
        self.ledger.take_up(self._is_mine, repair)
        write_json(self.path / SETTINGS, self.settings.model_dump(mode="json"))
        self.note()

    def _first(self) -> Row | None:
        """A row that is there, whether or not the ledger knows it."""
        for file in named(self.path, "rows"):
            with suppress(RunFolderError):
                if row := next(rows_of(file), None):
                    return row
        return None

    def _is_mine(self, row: Row) -> bool:
        models = {role: self._scrub(name) for role, name in self.models.items()}
        return row.models == models and row.seed == self.settings.seed

    def has(self, task: Task | BadRow) -> bool:
        """Whether the task is finished. Raises `RunFolderError` when another one is, under the same id."""
        made = self._ahead.pop(task.id, None)
        if made is None:
            # most inputs come in the order of their ids: while what was read ahead is used up, more is read
            self._reach = 1 if self._ahead else min(2 * self._reach, 512)
            self._ahead = self.ledger.digests(task.id, self._reach)
            made = self._ahead.pop(task.id, None)
        if made is None:
            return False
        if not is_of(made, task, self._scrub):
            raise RunFolderError(
                f"task {task.id!r} is not the one {self.path} holds under that id: the input was changed since; "
                "play it in another folder"
            )
        return True

    def lines(self, row: Row) -> dict[str, bytes]:
        """What a row puts into each stream. Raises `ValueError` when a value in it has no JSON form."""
        lines = {"failed" if row.outcome == "failed" else "rows": self._line(row.model_dump(mode="json"))}
        for stream in DERIVED:
            if value := derived(stream, row):
                lines[stream] = self._line(value)
        return lines

    async def keep(self, row: Row, task: Task | BadRow, lines: dict[str, bytes]) -> None:
        """Puts a finished row on disk, as its `lines`, and returns once it is safe.

        Raises `RunFolderError` when the disk takes no more.
        """
        forget = row.outcome != "failed"  # a failed task keeps its answers for when it is played again
        reason = self._scrub(row.reason)
        self.tools.add(row)
        await self.ledger.keep_row(FinishedRow(row.id, row.outcome, reason, digest(task), forget, lines))

    def _line(self, value: dict[str, Any]) -> bytes:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return self._scrub(text).encode() + b"\n"

    def note(self, ended: str | None = None) -> None:
        """Writes run.json with the counts so far; `ended` is when the run did, in UTC."""
        spent = self.ledger.spent()
        roles: dict[str, Usage] = {}
        for (_, role), used in spent.items():
            roles[role] = roles.get(role, Usage()) + used
        counts = self.ledger.counts()
        said = {
            "source": self.source,
            "models": self.models,
            "counts": {name: counts.get(name, 0) for name in ("accepted", "rejected", "failed")},
            "requests": self.ledger.requests(),
            "refused": self.refused(),
            "tools": self.tools.said(),
            "usage": {role: used.model_dump() for role, used in sorted(roles.items())},
            "usage_by_round": [
                {"round": number, "role": role, **used.model_dump()} for (number, role), used in sorted(spent.items())
            ],
            "seed": self.settings.seed,
            "settings_digest": self.settings.digest(),
            "started": self._started,
            "ended": ended,
            "seconds": round(self._seconds + time.monotonic() - self._began, 1),
            "versions": {"python": platform.python_version(), **versions()},
        }
        with writing(self.path):
            write_json(self.path / RUN, said)

    def close(self) -> None:
        """Writes run.json and the data set's card, and lets go of the ledger."""
        self.ledger.settle()
        try:
            self.note(now())
        finally:
            self.ledger.close()
        with writing(self.path):
            write_card(self.path, {stream: row_files(self.path, stream) for stream in DERIVED})
