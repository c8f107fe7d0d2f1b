"""How a run's tools were used: a tool that always fails, or never takes a side, is seen at its end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from anyprefer.core.records import Row

COUNTED = ("uses", "failures", "sides")


class ToolUse:
    """By tool: uses, failures, verdicts (`sides`) and seconds, over all calls of a run."""

    def __init__(self, noted: Mapping[str, Any] | None = None) -> None:
        """`noted` is what `said` gave before."""
        self._counts: dict[str, Counter[str]] = {}
        self._seconds: Counter[str] = Counter()
        for tool, one in (noted or {}).items():
            self._counts[tool] = Counter({name: int(one[name]) for name in COUNTED})
            self._seconds[tool] = float(one["seconds"])  # type: ignore[assignment]

    @classmethod
    def noted_in(cls, run: Path) -> ToolUse:
        """What a run.json says; nothing where there is none that can be read."""
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(json.loads(run.read_text(encoding="utf-8"))["tools"])
        return cls()

    def add(self, row: Row) -> None:
        """Counts what was used while a task was played."""
        for one in (knowledge for played in row.rounds for knowledge in played.knowledge):
            counts = self._counts.setdefault(one.tool, Counter())
            counts.update(uses=1, failures=one.error is not None, sides=one.verdict is not None)
            self._seconds[one.tool] += one.seconds  # type: ignore[assignment]

    def said(self) -> dict[str, dict[str, float]]:
        """For run.json; a failure has no seconds."""
        return {
            tool: {**{name: counts[name] for name in COUNTED}, "seconds": round(self._seconds[tool], 3)}
            for tool, counts in sorted(self._counts.items())
        }
