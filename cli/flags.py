"""Command-line flags generated from a settings class: its fields' names, types, ranges, defaults and descriptions.

    @flags(RunSettings, into="values", panels=PANELS)
    def synth(source: ..., *, values: Values) -> None: ...

The command has one flag a field in place of `values`, and is called with those that were given as
`values={field: value}`. Ranges are checked by the class alone, so TOML, keywords and flags say the same.
"""

from __future__ import annotations

import functools
import inspect
import tomllib
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from rich.markup import escape

from anyprefer.cli.completion import of_setting
from anyprefer.core.errors import SettingsError
from anyprefer.core.server_settings import ServerSettings
from anyprefer.core.settings import Origin, RunSettings, load_settings

Values = dict[str, Any]
Function = Callable[..., None]

PANELS: dict[str, tuple[str, ...]] = {
    "Players": ("target", "judge", "reward", "engine", "task_field", "system", "examples"),
    "Candidates": ("candidates", "temperature", "top_p", "image_noise", "max_new_tokens", "seed"),
    "Tools": ("tools", "tool_options", "tool_timeout"),
    "Judging and pairs": ("judge_form", "judge_passes", "judge_max_new_tokens", "pair", "min_margin"),
    "Rounds": ("threshold", "max_rounds", "feedback", "feedback_mode", "prompt_scope"),
    "Run": ("concurrency", "accept", "workers", "ray", "image_roots", "format", "record", "trace", "trace_share"),
    "Budget": ("max_calls", "max_tokens", "max_cost", "prices"),
    "Servers": (*ServerSettings.model_fields, "servers"),
}
"""The fields of `RunSettings` as help and `anyprefer config` group them: five groups decide a row, the others do not."""
NO_FLAG = ("headers", "extra_body", "servers")
"""Tables of a file: they may hold keys, which other users of the machine see in flags."""


ASKING = {name: PANELS[name] for name in ("Servers", "Budget")}
"""What of them every command takes that asks models."""


def flags(
    model: type[BaseModel],
    into: str,
    panels: Mapping[str, Sequence[str]],
    leave_out: Collection[str] = (),
) -> Callable[[Function], Function]:
    """Replaces the command's keyword parameter `into` by flags for the fields of `model`, in the panels' order.

    Two of them can be stacked; the fields in `leave_out` get no flag.
    """
    homes = [(name, panel) for panel, names in panels.items() for name in names if name not in (*NO_FLAG, *leave_out)]
    fields = {name: model.model_fields[name] for name, _ in homes}
    new = [_parameter(name, fields[name], panel) for name, panel in homes]

    def decorate(command: Function) -> Function:
        signature = inspect.signature(command, eval_str=True)
        kept = [parameter for name, parameter in signature.parameters.items() if name != into]

        @functools.wraps(command)
        def with_values(**given: Any) -> None:
            taken = {name: given.pop(name) for name in fields}
            values = {name: _value(name, fields[name], text) for name, text in taken.items() if text is not None}
            command(**given, **{into: values})

        parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in (*kept, *new)]
        with_values.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        with_values.__annotations__ = {p.name: p.annotation for p in parameters}
        return with_values

    return decorate


def settings_from(
    config: Path | None, values: Values, app: Mapping[str, Any] | None = None
) -> tuple[RunSettings, dict[str, Origin]]:
    """`load_settings` with an application, a file and flags; single tool options given as flags join theirs."""
    if (config or app) and "tool_options" in values:
        merged = {tool: dict(options) for tool, options in load_settings(config, app=app)[0].tool_options.items()}
        for tool, options in values["tool_options"].items():
            merged.setdefault(tool, {}).update(options)
        values = {**values, "tool_options": merged}
    return load_settings(config, app=app, **values)


def _parameter(name: str, field: FieldInfo, panel: str) -> inspect.Parameter:
    kind = _kind(field)
    annotation: Any = list[str] if kind in (tuple, dict) else kind
    option = typer.Option(
        f"--{_dashed(name)}/--no-{_dashed(name)}" if kind is bool else _flag(name, kind),
        help=_help(field),
        rich_help_panel=panel,
        metavar=_METAVARS.get(kind, "TEXT") + _range(field) if kind is not bool else None,
        autocompletion=of_setting(name),
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[annotation | None, option]
    )


_METAVARS: dict[type, str] = {int: "N", float: "X", tuple: "A,B,…", dict: "TOOL.OPTION=VALUE"}


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _flag(name: str, kind: type) -> str:
    """One option a flag: `tool_options` becomes `--tool-option`."""
    return f"--{_dashed(name).removesuffix('s') if kind is dict else _dashed(name)}"


def _kind(field: FieldInfo) -> type:
    """bool, int, float, str, or tuple (a list) and dict (options by tool)."""
    origin = typing.get_origin(field.annotation)
    return str if origin is typing.Literal else origin or typing.cast("type", field.annotation)


def _help(field: FieldInfo) -> str:
    """The description with the choices and the default, as rich markup."""
    default = _shown(field.get_default(call_default_factory=True))
    choices = "|".join(_choices(field.annotation))
    notes = "; ".join(note for note in (choices, f"default: {default}" if default else "") if note)
    return f"{escape(field.description or '')} [dim]{escape(f'[{notes}]') if notes else ''}[/]".strip()


def _choices(annotation: Any) -> list[str]:
    """The values of a Literal, or of a tuple of one."""
    if typing.get_origin(annotation) is typing.Literal:
        return [str(value) for value in typing.get_args(annotation)]
    return [choice for part in typing.get_args(annotation) if part is not ... for choice in _choices(part)]


def _range(field: FieldInfo) -> str:
    """Such as ` 2..64`, ` >0`, ` ≥1`; empty where any value will do."""
    limits = {
        name: getattr(rule, name) for rule in field.metadata for name in ("ge", "gt", "le", "lt") if hasattr(rule, name)
    }
    low = next((f"{sign}{limits[name]:g}" for name, sign in (("gt", ">"), ("ge", "")) if name in limits), "")
    high = next((f"{sign}{limits[name]:g}" for name, sign in (("lt", "<"), ("le", "")) if name in limits), "")
    if low and high:
        return f" {low}..{high}"
    return f" {low if 'gt' in limits else f'≥{low}'}" if low else f" ≤{high}" if high else ""


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return f"{default:g}" if isinstance(default, int | float) else str(default or "")


def _value(name: str, field: FieldInfo, given: Any) -> Any:
    kind = _kind(field)
    if kind is tuple:
        return [part.strip() for text in given for part in text.split(",") if part.strip()]
    return _options(name, given) if kind is dict else given


def _options(name: str, given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`knowledge_search.corpus=facts.jsonl` → {"knowledge_search": {"corpus": "facts.jsonl"}}."""
    options: dict[str, dict[str, Any]] = {}
    for text in given:
        path, equals, value = text.partition("=")
        tool, dot, option = path.strip().partition(".")
        if not (equals and dot and tool and option):
            raise SettingsError(
                f"{_flag(name, dict)} {text!r} must be TOOL.OPTION=VALUE, such as knowledge_search.corpus=facts.jsonl"
            )
        options.setdefault(tool, {})[option] = literal(value)
    return options


def literal(text: str) -> Any:
    """A TOML value (3, 0.5, true, "text", [1, 2]), or the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
