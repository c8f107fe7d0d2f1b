"""Why tasks have no pair, counted: reasons that differ in numbers and quoted words only are one."""

from __future__ import annotations

import re
from collections import Counter

from anyprefer.core.records import Row

_LONGEST = 160
_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|line \d+|row \d+|\d+(?:\.\d+)?")


class Reasons:
    """Texts counted by kind, such as an outcome or a tool."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], str] = {}

    def add(self, kind: str, reason: str) -> None:
        """One more of a kind."""
        text = " ".join(reason.partition("; the model said:")[0].partition(" (round 1: ")[0].split())
        key = (kind, _VARYING.sub("…", text))
        self.counts[key] += 1
        self._first.setdefault(key, text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")

    def most(self, n: int) -> list[tuple[int, str, str]]:
        """The n most frequent: times, kind, and the first text of it."""
        return [(count, key[0], self._first[key]) for key, count in self.counts.most_common(n)]


def add_tool_errors(reasons: Reasons, row: Row) -> None:
    """Counts the tools that gave no finding while a task was played."""
    for knowledge in (knowledge for played in row.rounds for knowledge in played.knowledge if knowledge.error):
        reasons.add(knowledge.tool, knowledge.error or "")
