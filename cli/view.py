"""`anyprefer view`: the traces of runs in MLflow's page."""

from __future__ import annotations

import signal
import sys
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from anyprefer.cli.console import out


def view(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN…", help="Folders of synth or iterate, traced with --trace mlflow.")
    ],
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="N", help="Port of the page.")] = 5000,
) -> None:
    """Open the traces of runs in MLflow's page, which only this machine sees.

    One trace a task: its rounds, their steps, each call and tool with what it
    was given and brought, scores and why. Several runs are on one page; their
    sessions and tags tell them apart. Ctrl-C ends it.

    [bold]anyprefer view runs/questions[/]
    [bold]anyprefer view runs/first runs/second[/]
    """
    from anyprefer.graph.tracing.page import page, traced_folders

    folders = traced_folders(runs)
    console = out()
    console.print(f"opening the traces of {len(folders)} run{'s' * (len(folders) > 1)}")
    with suppress(KeyboardInterrupt), page(folders, port) as url:
        console.print(Text.assemble("traces: ", (url, "bold"), "\nCtrl-C ends it."), soft_wrap=True)
        if sys.stdout.isatty():
            webbrowser.open(url)
        signal.pause()
