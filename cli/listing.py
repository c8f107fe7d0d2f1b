"""`anyprefer list`: all that settings can name, and where each comes from."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from anyprefer.cli import completion
from anyprefer.cli.console import out, table
from anyprefer.core.errors import InputError, near

if TYPE_CHECKING:
    from anyprefer.core.registry import Registry
    from anyprefer.tools import KnowledgeTool

HOW = {
    "targets": "--target NAME or NAME:ARGUMENT",
    "judges": "--judge-form NAME with a model as --judge; --judge NAME for one without a model",
    "rewards": "--reward NAME",
    "engines": "--engine NAME",
    "pair_builders": "--pair NAME",
    "tools": "--tools NAME,NAME; options: --tool-option NAME.OPTION=VALUE",
    "trainers": "--trainer NAME of train and iterate; settings: --trainer-option SETTING=VALUE",
    "benchmarks": "anyprefer evaluate NAME --model MODEL",
}


def list_(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help=", ".join(HOW), autocompletion=completion.kinds)
    ] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="This one alone, with all it says.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what settings can name: tools, judges, targets, benchmarks, …

    One file in its folder, or a package's entry point in the group
    anyprefer.KIND, makes one more. A package's is loaded when it is named.

    [bold]anyprefer list[/]
    [bold]anyprefer list tools[/]
    [bold]anyprefer list tools calculator[/]
    """
    rows = _everything() if kind is None else _one(kind, name) if name else _kind(kind)
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    shown = table("kind", "name", "from") if kind is None else table("name", "what it is")
    for row in rows:
        if kind is None:
            shown.add_row(row["kind"], Text(row["name"], "bold"), Text(row["from"], "dim"))
        else:
            shown.add_row(Text(row["name"], "bold"), _facts(row), end_section=True)
    out().print(shown)
    out().print(Text(f"named by {HOW[kind]}" if kind else "more of one kind: anyprefer list KIND", "dim"))


def registries() -> Mapping[str, Registry]:
    """What can be named, by kind."""
    from anyprefer.nodes.engines import ENGINES
    from anyprefer.nodes.judges import JUDGES
    from anyprefer.nodes.pair_builders import PAIR_BUILDERS
    from anyprefer.nodes.rewards import REWARDS
    from anyprefer.nodes.targets import TARGETS
    from anyprefer.tools import TOOLS
    from anyprefer.training.evaluation.benchmarks import BENCHMARKS
    from anyprefer.training.trainers.by_name import TRAINERS

    known = (TARGETS, JUDGES, REWARDS, ENGINES, PAIR_BUILDERS, TOOLS, TRAINERS, BENCHMARKS)
    return {registry.group.removeprefix("anyprefer."): registry for registry in known}


def _registry(kind: str) -> Registry:
    known = registries()
    if kind not in known:
        raise InputError(f"unknown kind {kind!r}; {near(kind, known)}")
    return known[kind]


def _everything() -> list[dict[str, Any]]:
    return [
        {"kind": kind, "name": name, "from": origin}
        for kind, registry in registries().items()
        for name, origin in [*((name, registry.origin(name)) for name in registry), *_hidden(registry)]
    ]


def _hidden(registry: Registry) -> list[tuple[str, str]]:
    return [(name, f"{origin}, never played: a built-in has its name") for name, origin in registry.hidden().items()]


def _kind(kind: str) -> list[dict[str, Any]]:
    """All of a kind; what a package offers is not loaded, so it says only where it comes from."""
    registry = _registry(kind)
    rows = [
        _described(registry, name) if registry.built_in(name) else {"name": name, "from": registry.origin(name)}
        for name in registry
    ]
    return [*rows, *({"name": name, "from": origin} for name, origin in _hidden(registry))]


def _one(kind: str, name: str) -> list[dict[str, Any]]:
    return [_described(_registry(kind), name, whole=True)]


def _described(registry: Registry, name: str, whole: bool = False) -> dict[str, Any]:
    from anyprefer.tools import KnowledgeTool

    offered = registry.get(name)
    said = getattr(offered, "description", None) or inspect.getdoc(offered) or ""
    facts = _tool_facts(offered) if isinstance(offered, KnowledgeTool) else {}
    return {"name": name, "what": said if whole else _first_sentence(said), **facts, "from": registry.origin(name)}


def _tool_facts(tool: KnowledgeTool) -> dict[str, Any]:
    schema: Any = tool.args_schema
    options = inspect.signature(tool.function).parameters
    return {
        "looks_at": tool.looks_at,
        "arguments": {
            name: None if field.is_required() else field.default for name, field in schema.model_fields.items()
        },
        "options": {name: _default(options[name]) for name in tool.options},
    }


def _facts(row: dict[str, Any]) -> Text:
    """What it is; of a tool what it looks at, what the judge passes and which options it has; where it comes from."""
    text = Text(f"{row['what']}\n" if row.get("what") else "")
    given = {
        "looks at": row.get("looks_at"),
        "judge passes": _pairs(row.get("arguments")),
        "options": _pairs(row.get("options")),
    }
    for label, value in given.items():
        text.append_text(Text.assemble((f"{label}: ", "dim"), value, "\n") if value else Text())
    return text.append(f"from {row['from']}\n", "dim")


def _default(parameter: inspect.Parameter) -> Any:
    return None if parameter.default is parameter.empty else parameter.default


def _pairs(values: Mapping[str, Any] | None) -> str:
    return ", ".join(name if value is None else f"{name}={value!r}" for name, value in (values or {}).items())


def _first_sentence(text: str) -> str:
    sentence, *more = re.split(r"(?<! al)\. ", " ".join(text.split()), maxsplit=1)
    return f"{sentence}." if more else sentence
