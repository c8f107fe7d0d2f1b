"""What a run came to, read from its folder: counts, reasons, tokens, files, and what to do next."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from anyprefer.graph.cli.console import table
from anyprefer.graph.cli.progress import STYLES
from anyprefer.graph.state import Row

MOST = 6
_LONGEST = 160
_PLAYERS = {"sample": "target", "reward": "reward", "textgrad": "engine"}
"""Who is asked in a step; the judge in all others."""
_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|line \d+|row \d+|\d+(?:\.\d+)?")


class Reasons:
    """Texts counted; those that differ in numbers and quoted words only count as one and show as the first of them."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], str] = {}

    def add(self, kind: str, reason: str) -> None:
        """One more of a kind."""
        text = " ".join(reason.partition("; the model said:")[0].split())
        key = (kind, _VARYING.sub("…", text))
        self.counts[key] += 1
        self._first.setdefault(key, text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")

    def shown(self, title: str, kind: str) -> Table:
        """The most frequent ones as a table."""
        shown = table("times", kind, "reason (numbers and names are the first one's)", title=title, right=("times",))
        for key, count in self.counts.most_common(MOST):
            shown.add_row(str(count), Text(key[0], STYLES.get(key[0], "")), Text(self._first[key]))
        if rest := sum(count for _, count in self.counts.most_common()[MOST:]):
            shown.add_row(str(rest), "", "other reasons")
        return shown


def add_tool_errors(reasons: Reasons, row: Row) -> None:
    """Counts the tools that gave no finding while a task was played."""
    for knowledge in (knowledge for played in row.rounds for knowledge in played.knowledge if knowledge.error):
        reasons.add(knowledge.tool, knowledge.error or "")


def summarise(console: Console, folder: Path, tool_errors: Reasons) -> Counter[str]:
    """Prints the report of a run folder and returns its rows by outcome."""
    note = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    counts = Counter[str](note["counts"])
    console.print()
    console.print(_counts(folder, counts))
    failing_tools = tool_errors.shown("Tools that gave no finding", "tool")
    for part in (_failures(folder / "failures.jsonl"), failing_tools, _tokens(note), _files(folder, counts)):
        if part.row_count:
            console.print()
            console.print(part)
    console.print()
    for line in _next(folder, counts, note["models"].get("target", "")):
        console.print(line, soft_wrap=True)
    return counts


def _counts(folder: Path, counts: Counter[str]) -> Text:
    parts = [part for name, style in STYLES.items() for part in ((f"{counts[name]}", style), f" {name}, ")]
    return Text.assemble((f"{counts.total()} rows", "bold"), f" in {folder}: ", *parts)[:-2]


def _failures(file: Path) -> Table:
    reasons = Reasons()
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        row = json.loads(line)
        reasons.add(row["outcome"], row["reason"])
    return reasons.shown("Why there is no pair", "outcome")


def _tokens(note: dict[str, Any]) -> Table:
    shown = table("step", "model", "calls", "tokens in", "tokens out", right=("calls", "tokens in", "tokens out"))
    for step, used in note["usage"].items():
        numbers = (used["calls"], used["input_tokens"], used["output_tokens"])
        shown.add_row(step, Text(note["models"][_PLAYERS.get(step, "judge")]), *(f"{number:,}" for number in numbers))
    return shown


def _files(folder: Path, counts: Counter[str]) -> Table:
    shown = table("file", "holds")
    if counts["accepted"]:
        shown.add_row(str(folder / "pairs.jsonl"), "accepted pairs, ready for training")
    if counts["rejected"] + counts["failed"]:
        shown.add_row(str(folder / "failures.jsonl"), "why the other rows have no pair")
    shown.add_row(str(folder / "rows.jsonl"), "every row: rounds, candidates, knowledge, scores, prompts")
    return shown


def _next(folder: Path, counts: Counter[str], target: str) -> list[Text]:
    """Commands to type now."""
    lines = []
    if counts["failed"]:
        lines.append(
            Text(
                f"{counts['failed']} failed: mend what the reasons name, then the same command with --resume plays them again"
            )
        )
    if counts["accepted"]:
        base = target if target == "smollm2" or target.startswith("hf:") else "hf:YOUR-MODEL"
        command = shlex.join(["anyprefer", "train", str(folder), "--base", base, "--out", f"models/{folder.name}"])
        lines.append(Text.assemble("next: ", (command, "bold")))
    elif counts["rejected"]:
        lines.append(
            Text("no pair was accepted: try a lower --threshold, more --candidates, other --tools or a stronger judge")
        )
    return lines
