"""What all commands share: where they print, and how an error becomes one line and an exit code."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from anyprefer.core.errors import (
    AnypreferError,
    InputError,
    ModelSetupError,
    RunFolderError,
    RunStopped,
    SettingsError,
    ToolError,
    TrainingError,
)
from anyprefer.core.screen import visible

DONE, STOPPED, USAGE, INTERRUPTED = 0, 1, 2, 130
_USAGE = (SettingsError, ModelSetupError, ToolError, InputError, RunFolderError, TrainingError)
_WIDE = 200


class Commands(TyperGroup):
    """A group whose commands may raise any `AnypreferError`."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; an error is reported and sets the exit code."""
        try:
            return super().invoke(ctx)
        except AnypreferError as error:
            complain(error)
            raise typer.Exit(USAGE if isinstance(error, _USAGE) else STOPPED) from error


@contextmanager
def at_work(safe: str) -> Iterator[None]:
    """Around the work itself, after everything was checked: folders, input and training that break now stop
    the run (exit code 1, not 2), and Ctrl-C says what is `safe` and exits with 130."""
    try:
        yield
    except (RunFolderError, RunStopped, InputError, TrainingError) as error:
        complain(error)
        if isinstance(error, RunStopped):
            to_stderr(Text.assemble(("stopped: ", "bold yellow"), safe))
        raise typer.Exit(STOPPED) from error
    except KeyboardInterrupt:
        to_stderr(Text.assemble(("stopped: ", "bold yellow"), safe))
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def said_warnings() -> Iterator[None]:
    """What the engine has to say while it works (a server's outage, and its end) goes to standard error."""
    handler = _ToStderr(logging.WARNING)
    logger = logging.getLogger("anyprefer")
    logger.addHandler(handler)
    logger.propagate = False  # a library's handler at the root would say it once more
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


class _ToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        to_stderr(Text.assemble(("note: ", "bold yellow"), record.getMessage()))


class Screen(Console):
    """A console that prints text from outside as it is: no escape sequence, no markup in it acts."""

    def __init__(self, **given: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **given)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Rich's segments, their texts `visible`."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def out() -> Console:
    """Standard output; wide where it is no terminal, so that lines and paths stay whole."""
    console = Screen()
    return console if console.is_terminal else Screen(width=_WIDE)


def complain(error: Exception) -> None:
    """`error: …` in one line on standard error."""
    to_stderr(Text.assemble(("error: ", "bold red"), " ".join(str(error).split())))


_live: list[Console] = []
"""The console that shows a live line now, if any does."""


@contextmanager
def shows_live(console: Console) -> Iterator[None]:
    """While a live line stands on a console, notes are printed above it and not into it."""
    _live.append(console)
    try:
        yield
    finally:
        _live.remove(console)


def to_stderr(text: Text) -> None:
    """One line on standard error, never wrapped; above the live line where one stands on the same terminal."""
    errors = Screen(stderr=True)
    console = _live[-1] if _live and errors.is_terminal else errors
    console.print(text, soft_wrap=True)


def table(*columns: str, title: str = "", right: tuple[str, ...] = ()) -> Table:
    """An empty table in the house's looks; the columns in `right` hold numbers."""
    made = Table(
        title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for name in columns:
        made.add_column(name, header_style="dim", justify="right" if name in right else "left", overflow="fold")
    return made
