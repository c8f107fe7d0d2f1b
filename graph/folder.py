"""A run folder: what a run was, and every row it made.

| file | holds |
|---|---|
| `settings.json` | the settings, whole |
| `rows.jsonl` | every row with its provenance: rounds, candidates, knowledge, scores, prompts, tokens |
| `pairs.jsonl` | accepted pairs as TRL takes them: prompt, chosen, rejected, and scalar columns |
| `failures.jsonl` | rejected and failed rows with their reasons |
| `run.json` | players, versions, seed, counts and tokens; written when a run starts and when it ends |

`rows.jsonl` is the truth: on resume the two derived files are written again from it, and a line
torn by a kill is dropped, so its task is played again.
"""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from anyprefer.graph.errors import RunFolderError
from anyprefer.graph.models.traits import without_secrets
from anyprefer.graph.settings import Settings
from anyprefer.graph.state import Message, Row, Task, Usage
from anyprefer.graph.usage import total

PACKAGES = ("anyprefer", "langgraph", "langchain-core", "langchain-openai", "transformers", "trl", "peft", "torch")


class RunFolder:
    """Opened with `create` or `resume`; closed rows go to `write`."""

    def __init__(self, path: Path, settings: Settings, models: dict[str, str]) -> None:
        self.path = path
        self.settings = settings
        self.models = models
        self.finished: set[str] = set()
        """Ids of the rows that are done; a resumed run skips them."""
        self.counts: Counter[str] = Counter()
        self._usage: dict[str, Usage] = {}

    @classmethod
    def create(cls, path: str | Path, settings: Settings, models: dict[str, str]) -> RunFolder:
        """A new folder, or one in which a run stopped before its first row.

        Raises `RunFolderError` when there is anything else in it: nothing is overwritten.
        """
        folder = cls(Path(path), settings, models)
        if folder.path.exists() and not (folder.path.is_dir() and _is_rowless(folder.path)):
            raise RunFolderError(f"run folder {path} exists; continue it with --resume or choose another with --out")
        with _disk(folder.path):
            folder.path.mkdir(parents=True, exist_ok=True)
            _write_json(folder.path / "settings.json", settings.model_dump(mode="json"))
        folder.close()
        return folder

    @classmethod
    def resume(cls, path: str | Path, settings: Settings, models: dict[str, str]) -> RunFolder:
        """A folder to go on with: accepted and rejected rows stay, failed ones are played again.

        Raises `RunFolderError` when there is none, or naming the settings that differ: two experiments
        in one folder are refused.
        """
        folder = cls(Path(path), settings, models)
        saved = folder.path / "settings.json"
        if not saved.is_file():
            raise RunFolderError(f"run folder {path} holds no run to resume; leave out --resume")
        changed = folder._changed()
        if changed:
            raise RunFolderError(f"run folder {path} was made with other settings: {changed}; choose another folder")
        kept = [row for row in read_rows(folder.path) if row.outcome != "failed"]
        with _disk(folder.path):
            for name in ("rows.jsonl", "pairs.jsonl", "failures.jsonl"):
                (folder.path / f"{name}.new").touch()
            for row in kept:
                folder._append(row, suffix=".new")
            for name in ("rows.jsonl", "pairs.jsonl", "failures.jsonl"):
                (folder.path / f"{name}.new").replace(folder.path / name)
        return folder

    def _changed(self) -> str:
        """What differs from the run in the folder: settings, and players that were given as objects."""
        try:
            saved = Settings.model_validate_json((self.path / "settings.json").read_bytes())
            models = json.loads((self.path / "run.json").read_bytes())["models"]
        except (OSError, ValueError, KeyError) as error:
            raise RunFolderError(f"run folder {self.path} is not of this version or damaged: {error}") from error
        old = {**saved.deciding(), **{f"{role}'s model": name for role, name in models.items()}}
        new = {**self.settings.deciding(), **{f"{role}'s model": name for role, name in self.models.items()}}
        return ", ".join(f"{k} ({old.get(k)!r} then, {v!r} now)" for k, v in new.items() if old.get(k) != v)

    def write(self, row: Row) -> None:
        """Puts a finished row on disk. Raises `RunFolderError` when the disk takes no more, and
        `ValueError`, with nothing written, when a value in the row has no JSON form."""
        with _disk(self.path):
            self._append(row)

    def close(self) -> None:
        """Writes run.json with the counts so far."""
        with _disk(self.path):
            _write_json(
                self.path / "run.json",
                {
                    "models": self.models,
                    "counts": {name: self.counts[name] for name in ("accepted", "rejected", "failed")},
                    "usage": {role: used.model_dump() for role, used in self._usage.items()},
                    "seed": self.settings.seed,
                    "settings_digest": self.settings.digest(),
                    "versions": {"python": platform.python_version(), **_versions()},
                },
            )

    def _append(self, row: Row, suffix: str = "") -> None:
        _append_line(self.path / f"rows.jsonl{suffix}", row.model_dump(mode="json"))
        if row.outcome == "accepted":
            _append_line(self.path / f"pairs.jsonl{suffix}", pair_row(row))
        else:
            reason = {"id": row.id, "outcome": row.outcome, "reason": row.reason}
            _append_line(self.path / f"failures.jsonl{suffix}", reason)
        self.finished.add(row.id)
        self.counts[row.outcome] += 1
        self._usage = total([self._usage, row.usage])


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a run folder. A torn last line is skipped; any other bad line raises `RunFolderError`."""
    file = path / "rows.jsonl"
    lines = file.read_bytes().split(b"\n") if file.exists() else []
    for number, line in enumerate(lines, 1):
        if line:
            try:
                yield Row.model_validate_json(line)
            except ValidationError as error:
                if number == len(lines):
                    return
                raise RunFolderError(f"{file}, line {number} is no row of this version: {error}") from error


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


def row_messages(task: Task) -> list[Message]:
    """The task as the `prompt` column of a training row: x itself, whatever p_t became (§2.5)."""
    head: list[Message] = [{"role": "system", "content": task.system}] if task.system else []
    return [*head, {"role": "user", "content": task.prompt}]


def _is_rowless(folder: Path) -> bool:
    return {file.name for file in folder.iterdir()} <= {"settings.json", "run.json"}


class _disk:
    """Turns what the file system says into one clear line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, OSError):
            raise RunFolderError(
                f"run folder {self.path} cannot be written: {error.strerror}; rows written so far are safe, "
                "mend the disk and go on with --resume"
            ) from error


def _append_line(path: Path, value: dict[str, Any]) -> None:
    line = without_secrets(json.dumps(value, ensure_ascii=False, allow_nan=False)) + "\n"
    data = line.encode()
    with path.open("ab") as file:
        file.write(data)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    fresh.replace(path)


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
