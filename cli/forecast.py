"""`--estimate`: what the whole input will take, forecast from the rows that were played."""

from __future__ import annotations

import math
import time
from pathlib import Path

from rich.console import Console

from anyprefer.cli.console import table
from anyprefer.cli.summary import dollars
from anyprefer.core.records import Row, Usage
from anyprefer.graph.runs.row_files import read_rows

CONFIDENCE = 1.96
"""Standard errors on either side: 95% where rows are many and alike."""


class Timer:
    """Call it with every row as it finishes; knows the spread of what rows took, and the pace."""

    def __init__(self) -> None:
        self.rows: list[Usage] = []
        self.accepted = 0
        self._began = time.monotonic()
        self.seconds = 0.0
        """From the start to the last row."""

    def __call__(self, row: Row) -> None:
        """Notes a finished row."""
        self.note(row)
        self.seconds = time.monotonic() - self._began

    def note(self, row: Row) -> None:
        """Counts what a row took."""
        self.rows.append(sum(row.usage.values(), Usage()))
        self.accepted += row.outcome == "accepted"


def forecast(console: Console, folder: Path, rows: int | None, timer: Timer) -> None:
    """Prints tokens, cost and time of `rows` rows, each with a 95% interval over the rows the folder holds.

    Time is known from the rows of this call alone.
    """
    kept = Timer()
    for row in read_rows(folder):
        kept.note(row)
    if len(kept.rows) < len(timer.rows):
        kept = timer
    played = kept.rows
    if len(played) < 2 or rows is None:
        why = "the input's length is not known" if rows is None else "too few rows were played"
        console.print(f"no forecast: {why}")
        return
    shown = table("", "forecast", "95% interval", right=("forecast", "95% interval"), title=f"All {rows:,} rows")
    for name, values in _columns(played).items():
        shown.add_row(name, *_said(name, values, rows))
    if timer.rows:
        pace = timer.seconds / len(timer.rows)
        shown.add_row("time", duration(pace * rows), f"at this call's pace, {pace:.2g} s a row")
    else:
        shown.add_row("time", "unknown", "this call played no row")
    shown.add_row("accepted pairs", f"{kept.accepted / len(played) * rows:,.0f}", "")
    console.print()
    console.print(shown)
    console.print(f"from {len(played)} rows, which are kept: the same command without --estimate plays the others")


def _columns(played: list[Usage]) -> dict[str, list[float] | None]:
    costs = [used.cost for used in played]
    return {
        "calls": [float(used.calls) for used in played],
        "tokens in": [float(used.input_tokens) for used in played],
        "tokens out": [float(used.output_tokens) for used in played],
        "cost": None if None in costs else [cost or 0.0 for cost in costs],
    }


def _said(name: str, values: list[float] | None, rows: int) -> tuple[str, str]:
    if values is None:
        return "unknown", "put the models' prices into a file and give it with --prices"
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    margin = CONFIDENCE * spread / math.sqrt(len(values)) * math.sqrt(max(0.0, 1 - len(values) / rows))
    show = dollars if name == "cost" else lambda value: f"{value:,.0f}"
    return show(mean * rows), f"{show(max(0.0, mean - margin) * rows)} to {show((mean + margin) * rows)}"


def duration(seconds: float) -> str:
    """Hours and minutes, as a forecast knows them."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"
