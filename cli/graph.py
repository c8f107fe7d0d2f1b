"""`anyprefer graph`: the game as a drawing, without playing anything."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from anyprefer.cli.console import to_stderr
from anyprefer.core.errors import RunFolderError


def graph(
    to: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.mmd", help="Write it there.", show_default="print it")
    ] = None,
    langgraph: Annotated[
        bool,
        typer.Option("--langgraph", help="Print langgraph.json, by which `langgraph dev` and Studio serve the game."),
    ] = False,
) -> None:
    """Draw the game as a Mermaid diagram.

    [bold]anyprefer graph[/]
    [bold]anyprefer graph --out game.mmd[/]
    """
    if langgraph:
        typer.echo((files("anyprefer.graph") / "langgraph.json").read_text(encoding="utf-8"), nl=False)
        return
    from langchain_core.language_models import FakeListChatModel

    from anyprefer.graph.build import build_graph

    drawing = build_graph(target=FakeListChatModel(responses=[])).get_graph().draw_mermaid()
    if to is None:
        typer.echo(drawing, nl=False)
    else:
        try:
            to.write_text(drawing, encoding="utf-8")
        except OSError as error:
            raise RunFolderError(f"{to} cannot be written: {error.strerror}") from error
    where = to or "it"
    to_stderr(
        Text(f"to view {where}, paste it into https://mermaid.live or a ```mermaid block of a Markdown page", "dim")
    )
