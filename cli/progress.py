"""How a run's progress shows: a live line on a terminal, plain lines from time to time elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from anyprefer.cli.console import shows_live

if TYPE_CHECKING:
    from anyprefer.core.records import Row

RowCallback = Callable[["Row"], None]
STYLES = {"accepted": "green", "rejected": "yellow", "failed": "red"}
EVERY_SECONDS = 10.0


@contextmanager
def progress(console: Console, rows: int | None, kept: int = 0, every: float = EVERY_SECONDS) -> Iterator[RowCallback]:
    """Yields what to call with every finished row. `rows` is how many there will be, where that is known;
    `kept` of them were finished before."""
    showing = _live(console, rows, kept) if console.is_terminal else _plain(console, rows, kept, every)
    with showing as on_row:
        yield on_row


@contextmanager
def _live(console: Console, rows: int | None, kept: int) -> Iterator[RowCallback]:
    counts: Counter[str] = Counter()
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=16), _Done(), _Rate(), _Left())
    with shows_live(console), Progress(*columns, console=console, speed_estimate_period=600) as bar:
        task = bar.add_task(_counted(counts), total=rows, completed=kept)

        def on_row(row: Row) -> None:
            counts[row.outcome] += 1
            bar.update(task, advance=1, description=_counted(counts))

        yield on_row


@contextmanager
def _plain(console: Console, rows: int | None, kept: int, every: float) -> Iterator[RowCallback]:
    counts: Counter[str] = Counter()
    began = said = time.monotonic()
    console.print(f"{'rows' if rows is None else f'{rows} rows'}" + (f", {kept} finished before" if kept else ""))

    def on_row(row: Row) -> None:
        nonlocal said
        counts[row.outcome] += 1
        now = time.monotonic()
        if now - said >= every:
            said = now
            console.print(_line(counts, rows, kept, now - began))

    yield on_row


def _line(counts: Counter[str], rows: int | None, kept: int, seconds: float) -> str:
    """Such as `120 of 1000: 80 accepted, 30 rejected, 10 failed; 2.1 rows/s, 7 min left`."""
    played = counts.total()
    speed = played / seconds if seconds else 0.0
    text = f"{played + kept}{f' of {rows}' if rows is not None else ''}: {said_counts(counts)}; {speed:.2g} rows/s"
    if rows is not None and speed:
        text += f", {max(0, rows - kept - played) / speed / 60:.0f} min left"
    return text


def said_counts(counts: Counter[str]) -> str:
    """`80 accepted, 30 rejected, 10 failed`."""
    return ", ".join(f"{counts[name]} {name}" for name in STYLES)


def _counted(counts: Counter[str]) -> str:
    return "  ".join(f"[{style}]{counts[name]}[/] {name}" for name, style in STYLES.items())


class _Done(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Rows finished, of how many."""
        return Text(f"{task.completed:g}" + (f"/{task.total:g}" if task.total is not None else " rows"))


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Rows a second."""
        return Text(f"{task.speed:.2g} rows/s" if task.speed else "", style="dim")


class _Left(TimeRemainingColumn):
    """Time left where that is known, else time gone."""

    def render(self, task: Task) -> Text:
        """Such as `0:07:12 left`."""
        if task.finished or task.time_remaining is None:
            return TimeElapsedColumn().render(task)
        return Text.assemble(super().render(task), " left")
