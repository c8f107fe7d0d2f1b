"""`anyprefer tools` and `anyprefer graph`: what there is, without playing anything."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from anyprefer.cli.console import out, table, to_stderr
from anyprefer.core.errors import RunFolderError

if TYPE_CHECKING:
    from anyprefer.tools import KnowledgeTool


def tools(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the knowledge tools a judge can choose from.

    A file dropped into tools/ appears by itself, and so do other packages' tools.

    [bold]anyprefer tools[/]
    [bold]anyprefer tools --json[/]
    """
    from anyprefer.tools import TOOLS

    rows = [_described(TOOLS.get(name), TOOLS.origin(name)) for name in TOOLS.names()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    shown = table("tool", "looks at", "what it does")
    for row in rows:
        shown.add_row(Text(row["name"], "bold"), row["looks_at"], _facts(row), end_section=True)
    console = out()
    console.print(shown)
    console.print(Text("choose with --tools NAME,NAME; set options with --tool-option NAME.OPTION=VALUE", "dim"))


def _facts(row: dict[str, Any]) -> Text:
    """What a tool does, what the judge passes, which options it has and where it comes from."""
    text = Text(f"{row['what']}\n")
    for label, value in (("judge passes", _pairs(row["arguments"])), ("options", _pairs(row["options"]))):
        text.append_text(Text.assemble((f"{label}: ", "dim"), value, "\n") if value else Text())
    return text.append(f"from {row['from']}\n", "dim")


def graph(
    to: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.mmd", help="Write it there.", show_default="print it")
    ] = None,
) -> None:
    """Draw the game as a Mermaid diagram.

    [bold]anyprefer graph[/]
    [bold]anyprefer graph --out game.mmd[/]
    """
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


def _described(tool: KnowledgeTool, origin: str) -> dict[str, Any]:
    schema: Any = tool.args_schema
    options = inspect.signature(tool.function).parameters
    return {
        "name": tool.name,
        "looks_at": tool.looks_at,
        "arguments": {
            name: None if field.is_required() else field.default for name, field in schema.model_fields.items()
        },
        "options": {name: _default(options[name]) for name in tool.options},
        "what": _first_sentence(tool.description),
        "from": origin,
    }


def _default(parameter: inspect.Parameter) -> Any:
    return None if parameter.default is parameter.empty else parameter.default


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(name if value is None else f"{name}={value!r}" for name, value in values.items())


def _first_sentence(text: str) -> str:
    sentence, dot, _ = " ".join(text.split()).partition(". ")
    return sentence + dot.strip()
