"""A target's answers in a file that several runs share: ablations sample identical candidates once.

    anyprefer synth tasks.jsonl --samples samples.db --out runs/a
    anyprefer synth tasks.jsonl --samples samples.db --out runs/b --no-tools …   # the same candidates, judged otherwise

An answer is known by model, server, task, prompt, sampling settings and seed; an adapter also by its file's time. An
answer from the file is no model call and is counted nowhere. Several processes may share a file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from anyprefer.graph.errors import RunFolderError
from anyprefer.graph.models.answer import Answer
from anyprefer.graph.models.traits import who_and_where
from anyprefer.graph.roles import Target
from anyprefer.graph.secrets import without_secrets
from anyprefer.graph.settings import Settings
from anyprefer.graph.state import Task, stable_hash

_SCHEMA = "CREATE TABLE IF NOT EXISTS samples (key TEXT PRIMARY KEY, content BLOB) WITHOUT ROWID"
_ANSWER = "anyprefer.Answer"
_WAIT = 60.0
"""Seconds another process may hold the file."""


class SharedTarget:
    """A target whose answers are looked up in `settings.samples` before they are asked for."""

    def __init__(self, target: Target, settings: Settings) -> None:
        """Raises `RunFolderError` when the file cannot be opened."""
        self.target = target
        self.name = target.name
        self.model = getattr(target, "model", None)
        """The target's chat model, None where it is no chat model."""
        self._sampling = [settings.temperature, settings.top_p, settings.max_new_tokens]
        try:
            Path(settings.samples).parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(settings.samples, isolation_level=None, check_same_thread=False, timeout=_WAIT)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise RunFolderError(f"samples file {settings.samples} cannot be opened: {error}") from error

    async def sample(self, task: Task, prompt: str, seeds: Sequence[int]) -> list[Any]:
        """One content per seed, in order; only those the file lacks are asked for."""
        before = [] if isinstance(task.prompt, str) else [task.prompt]
        asked = [self._who(), task.system, *before, prompt, task.images, task.start, *self._sampling]
        keys = {seed: stable_hash([*asked, seed])[:40] for seed in seeds}
        known = {seed: content for seed in seeds if (content := self._known(keys[seed])) is not None}
        missing = [seed for seed in seeds if seed not in known]
        if missing:
            made = await self.target.sample(task, prompt, missing)
            known |= {seed: _packed(content) for seed, content in zip(missing, made, strict=True)}
            self._db.executemany(
                "INSERT OR IGNORE INTO samples VALUES (?, ?)", [(keys[seed], known[seed]) for seed in missing]
            )
        return [_unpacked(known[seed]) for seed in seeds]

    def _who(self) -> list[Any]:
        adapter = Path(self.name) / "adapter_model.safetensors"
        stamp = adapter.stat().st_mtime_ns if adapter.is_file() else 0
        return [who_and_where(self.model) if self.model is not None else self.name, stamp]

    def _known(self, key: str) -> bytes | None:
        found = self._db.execute("SELECT content FROM samples WHERE key = ?", (key,)).fetchone()
        return found and bytes(found[0])


def _packed(content: Any) -> bytes:
    """As JSON; an answer under a key that no other content has."""
    data = orjson.dumps({_ANSWER: asdict(content)} if isinstance(content, Answer) else content)
    return without_secrets(data.decode()).encode()


def _unpacked(data: bytes) -> Any:
    content = orjson.loads(data)
    return Answer(**content[_ANSWER]) if isinstance(content, dict) and content.keys() == {_ANSWER} else content
