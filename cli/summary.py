"""What a run came to, read from its folder: counts, reasons, tokens, files, and what to do next."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from anyprefer.cli.console import table
from anyprefer.cli.progress import STYLES
from anyprefer.core.records import Usage
from anyprefer.graph.runs.reasons import Reasons
from anyprefer.graph.runs.row_files import row_files

MOST = 6
_PLAYERS = {"sample": "target", "reward": "reward", "textgrad": "engine"}
"""Who is asked in a step; the judge in all others."""


def reasons_table(reasons: Reasons, title: str, kind: str) -> Table:
    """The most frequent reasons."""
    shown = table("times", kind, "reason (numbers and names are the first one's)", title=title, right=("times",))
    told = reasons.most(MOST)
    for count, name, text in told:
        shown.add_row(str(count), Text(name, STYLES.get(name, "")), Text(text))
    if rest := reasons.counts.total() - sum(count for count, *_ in told):
        shown.add_row(str(rest), "", "other reasons")
    return shown


def summarise(console: Console, folder: Path, tool_errors: Reasons) -> Counter[str]:
    """Prints the report of a run folder and returns its rows by outcome."""
    note = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    counts = Counter[str](note["counts"])
    console.print()
    console.print(_counts(folder, counts))
    failing_tools = reasons_table(tool_errors, "Tools that gave no finding", "tool")
    for part in (_failures(folder), _tools(note), failing_tools, _tokens(note), _rounds(note), _files(folder, counts)):
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


def _failures(folder: Path) -> Table:
    from anyprefer.graph.runs.ledger import reasons

    found = Reasons()
    for outcome, reason in reasons(folder):
        found.add(outcome, reason)
    return reasons_table(found, "Why there is no pair", "outcome")


def _tools(note: dict[str, Any]) -> Table:
    """Per tool: uses, failures, verdicts and seconds; one that failed each time stands out."""
    shown = table("tool", *_USE, right=_USE)
    for tool, used in note.get("tools", {}).items():
        failed = used["failures"] and used["failures"] == used["uses"]
        numbers = (f"{used['uses']:,}", f"{used['failures']:,}", f"{used['sides']:,}", f"{used['seconds']:,.1f}")
        shown.add_row(Text(tool), *numbers, style=STYLES["failed"] if failed else "")
    return shown


_USE = ("uses", "failures", "verdicts", "seconds")


def _tokens(note: dict[str, Any]) -> Table:
    """Per step, with a sum, and what an accepted pair took of it."""
    shown = table("step", "model", *_NUMBERS, right=_NUMBERS)
    total = Usage()
    for step, given in note["usage"].items():
        used = Usage(**given)
        total += used
        shown.add_row(step, Text(note["models"][_PLAYERS.get(step, "judge")]), *_numbers(used))
    if shown.row_count:
        shown.add_row("all", "", *_numbers(total), style="bold")
    accepted = note["counts"]["accepted"]
    if shown.row_count and accepted:
        share = Usage(
            calls=round(total.calls / accepted),
            input_tokens=round(total.input_tokens / accepted),
            output_tokens=round(total.output_tokens / accepted),
            cost=None if total.cost is None else total.cost / accepted,
        )
        shown.add_row("for each accepted pair", "", *_numbers(share))
    return shown


def _rounds(note: dict[str, Any]) -> Table:
    """Per round; empty where there was one round only."""
    shown = table("round", *_NUMBERS, right=("round", *_NUMBERS))
    rounds: dict[int, Usage] = {}
    for given in note["usage_by_round"]:
        number = given["round"]
        rounds[number] = rounds.get(number, Usage()) + Usage(**{k: given[k] for k in Usage.model_fields})
    for number, used in sorted(rounds.items()) if len(rounds) > 1 else ():
        shown.add_row(str(number), *_numbers(used))
    return shown


_NUMBERS = ("calls", "tokens in", "tokens out", "cost")


def _numbers(used: Usage) -> tuple[str, ...]:
    return f"{used.calls:,}", f"{used.input_tokens:,}", f"{used.output_tokens:,}", dollars(used.cost)


def dollars(cost: float | None) -> str:
    """`$1.25`, small ones with more places; `unknown` where a price is not known."""
    if cost is None:
        return "unknown"
    return f"${cost:,.2f}" if cost >= 1 or cost == 0 else f"${cost:.2g}" if cost >= 1e-4 else f"${cost:.1e}"


def _files(folder: Path, counts: Counter[str]) -> Table:
    shown = table("file", "holds")
    if counts["accepted"]:
        shown.add_row(_name(folder, "pairs"), "accepted pairs, ready for training")
    if counts["accepted"] + counts["rejected"]:
        shown.add_row(
            _name(folder, "rows"), "accepted and rejected rows: rounds, candidates, knowledge, scores, prompts"
        )
    if counts["failed"]:
        shown.add_row(_name(folder, "failed"), "failed rows and their reasons")
    return shown


def _name(folder: Path, stream: str) -> str:
    """The stream's file, or a pattern for its shards."""
    files = row_files(folder, stream)
    return str(files[0]) if len(files) == 1 else str(folder / f"{stream}-*{files[0].suffix if files else ''}")


def _next(folder: Path, counts: Counter[str], target: str) -> list[Text]:
    """Commands to type now."""
    lines = []
    if counts["failed"]:
        lines.append(
            Text(f"{counts['failed']} failed: fix what the reasons name, then the same command plays them again")
        )
    if counts["accepted"]:
        from anyprefer.models.load import is_local  # LangChain would slow every --help down

        base = target if is_local(target) else "hf:YOUR-MODEL"
        command = shlex.join(["anyprefer", "train", str(folder), "--base", base, "--out", f"models/{folder.name}"])
        lines.append(Text.assemble("next: ", (command, "bold")))
    elif counts["rejected"]:
        lines.append(
            Text("no pair was accepted: try a lower --threshold, more --candidates, other --tools or a stronger judge")
        )
    return lines
