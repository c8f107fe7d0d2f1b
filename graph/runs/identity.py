"""Which run a folder holds: its settings, players and input, as `settings.json` and `run.json` say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anyprefer.core.disk import check_no_link, replacing, say
from anyprefer.core.errors import RunFolderError
from anyprefer.core.secrets import cleaned
from anyprefer.core.settings import RunSettings, Settings

SETTINGS, RUN, CARD = "settings.json", "run.json", "README.md"
_MARK = "# written by anyprefer; remove this line to keep your own text"


@dataclass(frozen=True)
class Before:
    """A run that a folder holds already."""

    settings: Settings
    models: Mapping[str, str] | None
    """None, as `source`, where the run was never noted."""
    source: str | None
    started: str
    """When its first call began, ISO 8601."""
    seconds: float
    """How long its calls took, but for those that were killed."""

    def differs(self, settings: Settings, models: Mapping[str, str], source: str) -> str:
        """What is not as it was: settings that decide a row, players that were given as objects, and the input."""
        old = {**self.settings.deciding(), **_by_role(self.models or models), "input": self.source or ""}
        new = {**settings.deciding(), **_by_role(models), "input": source or self.source or ""}
        if self.source is None:
            old["input"] = new["input"]
        old, new = cleaned(old), cleaned(new)
        return ", ".join(
            f"{k} ({old.get(k)!r} then, {v!r} now)" for k, v in (dict.fromkeys(old) | new).items() if old.get(k) != v
        )


def _by_role(models: Mapping[str, str]) -> dict[str, str]:
    return {role if role == "graph" else f"{role}'s model": name for role, name in models.items()}


def holds_run(folder: Path) -> bool:
    """Whether a run was begun there."""
    try:
        return (folder / SETTINGS).is_file()
    except OSError:
        return False


def recorded_at(folder: Path) -> Path | None:
    """The recording the folder's run makes, if any."""
    with suppress(OSError, ValueError, RunFolderError):
        settings = _settings(folder / SETTINGS)
        return Path(settings.record).absolute() if settings and settings.record else None
    return None


def read_before(folder: Path, repair: bool = False) -> Before | None:
    """The run a folder holds; None where none was begun.

    Raises `RunFolderError` for files that cannot be read; with `repair` they are taken to say what this command says.
    """
    try:
        settings = _settings(folder / SETTINGS)
        run = _run(folder / RUN)
    except (OSError, ValueError, TypeError) as error:
        if not repair:
            raise RunFolderError(
                f"run folder {folder} is not of this version or damaged: {error}; put the file back, or give the "
                "command with --repair, which takes this command's settings"
            ) from error
        say(f"{folder}: {error}; this command's settings are taken")
        return None
    if settings is None:
        return None
    return Before(settings, run.get("models"), run.get("source"), run.get("started", ""), run.get("seconds", 0.0))


def _settings(file: Path) -> RunSettings | None:
    check_no_link(file)
    return RunSettings.model_validate_json(file.read_bytes()) if file.exists() else None


def _run(file: Path) -> dict[str, Any]:
    check_no_link(file)
    if not file.exists():
        return {}
    run = json.loads(file.read_bytes())
    if not isinstance(run, dict) or not isinstance(run.get("models"), dict) or "source" not in run:
        raise ValueError(f"{file.name} does not say who played, on which input")
    if not isinstance(run.get("started", ""), str) or not isinstance(run.get("seconds", 0.0), int | float):
        raise ValueError(f"{file.name} does not say when the run started and how long it took")
    return run


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _is_ours(card: Path) -> bool:
    return card.is_file() and _MARK in card.read_text(encoding="utf-8", errors="replace")


def write_card(folder: Path, files: Mapping[str, Sequence[Path]]) -> None:
    """A README.md by which `datasets.load_dataset(folder)` finds the pairs; one of the user's own stays."""
    card = folder / CARD
    if not any(files.values()) or (card.exists() and not _is_ours(card)):
        return
    configs = ""
    for name, made in files.items():
        default = "" if configs else "  default: true\n"
        paths = "".join(f"  - {file.name}\n" for file in made)
        configs += f"- config_name: {name}\n{default}  data_files:\n{paths}" if made else ""
    text = f'---\n{_MARK}\nconfigs:\n{configs}---\n\nPreference pairs: `datasets.load_dataset("{folder.name}")`.\n'
    with replacing(card) as file:
        file.write(text.encode())
