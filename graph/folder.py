"""A run folder: what a run was, and every row it made.

| file | holds |
|---|---|
| `settings.json` | the settings, whole |
| `rows.jsonl` | accepted and rejected rows with their provenance: rounds, candidates, knowledge, scores, prompts, cost |
| `pairs.jsonl` | accepted pairs as TRL takes them: prompt, chosen, rejected, and scalar columns |
| `judge_pairs.jsonl` | pairs of judgments in the same form, from a meta judge, of accepted and rejected rows |
| `failed.jsonl` | failed rows in full; a resumed run plays them again, and a row stays until its task has a new one |
| `ledger.db` | which tasks are done, answers of those that are not, what was spent (see `ledger.py`) |
| `prompts.jsonl` | versions of prompts shared by all tasks, where `prompt_scope` says so (see `policy.py`) |
| `run.json` | players, versions, seed, counts and cost; written when a run starts and when it ends |

Row files may be sharded (see `shards.py`). A folder is opened with the same call whether it is new or
is gone on with.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from anyprefer.graph.errors import RunFolderError
from anyprefer.graph.inputs import BadRow
from anyprefer.graph.ledger import FILE, FinishedRow, Ledger, finished, unwritable
from anyprefer.graph.secrets import cleaned, scrubber
from anyprefer.graph.settings import Settings
from anyprefer.graph.shards import Shards
from anyprefer.graph.state import Message, Row, Task, Usage

PARQUET_ROWS = 100_000
"""Rows of a Parquet shard where `shard_rows` says nothing: one is made in memory."""
PACKAGES = ("anyprefer", "langgraph", "langchain-core", "langchain-openai", "transformers", "trl", "peft", "torch")


class RunFolder:
    """Opened with `open`; finished rows go to `keep`, answers to `ledger`."""

    def __init__(self, path: str | Path, settings: Settings, models: Mapping[str, str], source: str = "") -> None:
        """A new folder, or one to go on with: accepted and rejected rows stay, failed ones are played again.

        `source` names the input. Raises `RunFolderError` for a folder that holds something else, naming
        the settings or the input that differ: two experiments in one folder are refused.
        """
        self.path = Path(path)
        self.settings = settings
        self.models = dict(models)
        self.source = source
        self._check()
        self.refused: Callable[[], Mapping[str, Any]] = dict
        """What the run's models refused of their requests, for run.json."""
        self._scrub = scrubber()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not (self.path / "settings.json").exists():
                self._note_settings()
        except OSError as error:
            raise unwritable(self.path, error.strerror) from error
        parquet = settings.format == "parquet"
        shards = Shards(self.path, settings.shard_rows or (PARQUET_ROWS if parquet else 0), parquet)
        self.ledger = Ledger(self.path / FILE, shards, self._scrub)
        self._ahead: dict[str, bytes] = {}
        self._reach = 1
        self.kept = self.ledger.count()
        """Rows that were finished when the folder was opened."""
        self.resumed = bool(self.kept) or self.ledger.has_answers()
        """Whether tasks may have been finished, or begun, before."""
        self._note_settings()
        self.note()

    def _check(self) -> None:
        if not self.path.exists():
            return
        if not self.path.is_dir() or not (self.path / "settings.json").is_file():
            if self.path.is_dir() and not any(self.path.iterdir()):
                return
            raise RunFolderError(f"{self.path} exists and is no run folder; choose another with --out")
        if (changed := self._changed()) and finished(self.path):
            raise RunFolderError(
                f"run folder {self.path} was made with other settings: {changed}; choose another folder"
            )

    def _changed(self) -> str:
        """What differs from the run in the folder: settings, players that were given as objects, and the input."""
        try:
            saved = Settings.model_validate_json((self.path / "settings.json").read_bytes())
            noted = self.path / "run.json"
            run: dict[str, Any] = (
                json.loads(noted.read_bytes()) if noted.exists() else {"models": self.models, "source": self.source}
            )
            models, source = run["models"], run["source"]
        except (OSError, ValueError, KeyError) as error:
            raise RunFolderError(f"run folder {self.path} is not of this version or damaged: {error}") from error
        old = {**saved.deciding(), **{f"{role}'s model": name for role, name in models.items()}, "input": source}
        new = {**self.settings.deciding(), **{f"{role}'s model": name for role, name in self.models.items()}}
        new["input"] = self.source or source
        old, new = cleaned(old), cleaned(new)
        return ", ".join(f"{k} ({old.get(k)!r} then, {v!r} now)" for k, v in new.items() if old.get(k) != v)

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
        if made != digest(task):
            raise RunFolderError(
                f"task {task.id!r} is not the one {self.path} holds under that id: the input was changed since; "
                "play it in another folder"
            )
        return True

    async def keep(self, row: Row, task: Task | BadRow) -> None:
        """Puts a finished row on disk and returns once it is safe.

        Raises `RunFolderError` when the disk takes no more, and `ValueError`, with nothing written, when
        a value in the row has no JSON form.
        """
        lines = {"failed" if row.outcome == "failed" else "rows": self._line(row.model_dump(mode="json"))}
        if row.outcome == "accepted":
            lines["pairs"] = self._line(pair_row(row))
        if row.outcome != "failed" and (judged := judge_pair_row(row)):
            lines["judge_pairs"] = self._line(judged)
        forget = row.outcome != "failed"  # a failed task keeps its answers for when it is played again
        reason = self._scrub(row.reason)
        await self.ledger.keep_row(FinishedRow(row.id, row.outcome, reason, digest(task), forget, lines))

    def _line(self, value: dict[str, Any]) -> bytes:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return self._scrub(text).encode() + b"\n"

    def _note_settings(self) -> None:
        write_json(self.path / "settings.json", self.settings.model_dump(mode="json"))

    def note(self) -> None:
        """Writes run.json with the counts so far."""
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
            "usage": {role: used.model_dump() for role, used in sorted(roles.items())},
            "usage_by_round": [
                {"round": number, "role": role, **used.model_dump()} for (number, role), used in sorted(spent.items())
            ],
            "seed": self.settings.seed,
            "settings_digest": self.settings.digest(),
            "versions": {"python": platform.python_version(), **versions()},
        }
        try:
            write_json(self.path / "run.json", said)
        except OSError as error:
            raise unwritable(self.path, error.strerror) from error

    def close(self) -> None:
        """Writes run.json and lets go of the ledger."""
        self.ledger.settle()
        try:
            self.note()
        finally:
            self.ledger.close()


def digest(task: Task | BadRow) -> bytes:
    """What tells whether an id still stands for the same input row, 8 bytes."""
    if isinstance(task, BadRow):
        content: list[Any] = [task.error]
    else:
        content = [task.prompt, task.system, task.images, task.reference, task.start, task.meta]
    try:
        data = orjson.dumps(content, default=str, option=_SORTED)
    except TypeError:  # half a surrogate pair
        data = repr(content).encode("utf-8", "backslashreplace")
    return hashlib.blake2b(data, digest_size=8).digest()


_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


def read_rows(path: str | Path) -> Iterator[Row]:
    """The rows of a run folder: accepted and rejected ones as they finished, then failed ones.

    Raises `RunFolderError` for a line that is no row.
    """
    for stream in ("rows", "failed"):
        for file in sorted(Path(path).glob(f"{stream}*.*")):
            yield from _rows_of(file)


def _rows_of(file: Path) -> Iterator[Row]:
    for number, row in enumerate(_values(file), 1):
        try:
            yield Row.model_validate(orjson.loads(row) if isinstance(row, bytes) else row)
        except (ValidationError, ValueError) as error:
            raise RunFolderError(f"{file}, line {number} is no row of this version: {error}") from error


def _values(file: Path) -> Iterator[Any]:
    if file.suffix == ".jsonl":
        with file.open("rb") as lines:
            yield from lines
    elif file.suffix == ".parquet":
        import pyarrow.parquet as parquet

        for batch in parquet.ParquetFile(file).iter_batches(1000):
            for row in batch.to_pylist():
                yield {
                    k: orjson.loads(v) if k in ("task", "pair", "rounds", "usage", "models") else v
                    for k, v in row.items()
                }


def pair_row(row: Row) -> dict[str, Any]:
    """An accepted row in TRL's conversational preference format, with what a reader wants beside it."""
    task, pair, last = row.task, row.pair, row.rounds[-1]
    if task is None or pair is None:
        raise RunFolderError(f"row {row.id} is accepted without a task or a pair")
    return {
        "id": row.id,
        "prompt": row_messages(task),
        "chosen": [{"role": "assistant", "content": pair.chosen}],
        "rejected": [{"role": "assistant", "content": pair.rejected}],
        **({"images": list(task.images)} if task.images else {}),
        "reward": row.reward,
        "chosen_score": pair.chosen_score,
        "rejected_score": pair.rejected_score,
        "rounds": len(row.rounds),
        "prompt_version": last.prompts.version,
        "target": row.models.get("target", ""),
        "judge": row.models.get("judge", ""),
    }


def judge_pair_row(row: Row) -> dict[str, Any] | None:
    """The last round's pair of judgments in TRL's format; None where no meta judge made one."""
    last = row.rounds[-1] if row.rounds else None
    pair = next((judgment.pair for judgment in last.judgments if judgment.pair), None) if last else None
    if last is None or pair is None or row.task is None:
        return None
    return {
        "id": f"{row.id} (judgment)",
        "prompt": list(pair.prompt),
        "chosen": [{"role": "assistant", "content": pair.chosen}],
        "rejected": [{"role": "assistant", "content": pair.rejected}],
        **({"images": list(row.task.images)} if row.task.images else {}),
        "margin": pair.margin,
        "prompt_version": last.prompts.version,
        "judge": row.models.get("judge", ""),
    }


def row_messages(task: Task) -> list[Message]:
    """The task as the `prompt` column of a training row: x itself, whatever p_t became (§2.5)."""
    return task.messages()


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes a whole file or none: what reads it meets no half of it."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(cleaned(value), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    fresh.replace(path)


def versions() -> dict[str, str]:
    """Version of each library that shapes a result, by name; those that are not installed are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
