"""The command line: `anyprefer --help`.

One file a command or two; the flags of the settings are generated (`flags.py`), errors become one line
and an exit code (`console.py`). Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType
from typing import Annotated

import typer

from anyprefer.cli.analyse import analyse
from anyprefer.cli.apps import apps
from anyprefer.cli.build import build
from anyprefer.cli.config import config
from anyprefer.cli.console import Commands
from anyprefer.cli.evaluate import evaluate
from anyprefer.cli.export import export
from anyprefer.cli.graph import graph
from anyprefer.cli.help import Command
from anyprefer.cli.iterate import demo, iterate
from anyprefer.cli.judge_eval import judge_eval
from anyprefer.cli.listing import list_
from anyprefer.cli.output_streams import take_over
from anyprefer.cli.rejudge import rejudge
from anyprefer.cli.report import report
from anyprefer.cli.reproduce import ablate, reproduce
from anyprefer.cli.review import review
from anyprefer.cli.show import show
from anyprefer.cli.synth import synth
from anyprefer.cli.train import train
from anyprefer.cli.view import view
from anyprefer.core.screen import visible

app = typer.Typer(
    cls=Commands,
    name="anyprefer",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = (
    synth, show, report, review, view, train, evaluate, judge_eval, iterate, analyse, export, rejudge, reproduce, ablate, demo, apps, build, list_, graph, config
)  # fmt: skip
for command in COMMANDS:
    app.command(command.__name__.strip("_").replace("_", "-"), cls=Command)(command)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"anyprefer {version('anyprefer')}")
        raise typer.Exit


@app.callback()
def anyprefer(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Preference data from an agent graph, and models aligned on it.

    [bold]anyprefer synth questions.jsonl --column prompt=question[/]
    [bold]anyprefer train runs/questions --base smollm2 --out models/first[/]

    Exit codes: 0 done; 1 stopped on an error, or every row failed;
    2 nothing was started (settings, files, models, tools); 130 interrupted.
    """


def _crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Python's traceback, with nothing in it that a terminal would obey."""
    sys.stderr.write(visible("".join(traceback.format_exception(kind, error, trace))))


def main() -> None:
    """The entry point. Files and pipes get UTF-8 and no progress bars. Output that cannot be written stops nothing,
    but ends in exit code 1."""
    written, errors = take_over()
    sys.excepthook = _crash
    if not errors.isatty() or int(os.environ.get("RANK") or 0):  # of several processes only the first shows bars
        os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        app()
    except SystemExit as end:
        written.flush()
        if written.failure and not end.code:
            errors.write(f"error: standard output cannot be written: {written.failure.strerror}\n")
            raise SystemExit(1) from None
        raise
