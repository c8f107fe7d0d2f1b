"""What `--help` says of a command with many settings: the common options, a line or two each; `--help-all` says all."""

from __future__ import annotations

import copy
import re
from typing import Any

import typer
from typer.core import TyperCommand

BRIEF: dict[str, set[str]] = {
    "synth": {
        *("source", "to", "estimate", "app", "config", "column", "limit", "target", "judge", "reward", "tools"),
        *("candidates", "temperature", "max_new_tokens", "threshold", "max_rounds", "seed", "concurrency", "accept"),
        *("max_cost", "key_env"),
    },
    "iterate": {
        *("source", "heldout", "to", "app", "iterations", "config", "column", "limit", "preset", "base", "trainer"),
        *("target", "judge", "tools", "candidates", "temperature", "max_new_tokens", "threshold", "accept"),
    },
    "evaluate": {
        *(
            "source",
            "model",
            "column",
            "limit",
            "system",
            "max_new_tokens",
            "temperature",
            "seed",
            "judge",
            "batch_size",
        ),
        *("answers", "print_command", "max_calls", "max_tokens", "max_cost", "key_env"),
    },
    "analyse": {
        *("runs", "to", "against", "samples", "components", "view", "encoder", "judge", "task_field", "seed"),
        *("max_calls", "max_tokens", "max_cost", "key_env"),
    },
}
"""The parameters that a command's `--help` shows."""
LONGEST = 24
"""Characters of a default that is shown there."""


class Command(TyperCommand):
    """A command whose `--help` is brief where `BRIEF` names it; it then has `--help-all` too."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        if self.name in BRIEF:
            self.params.append(_help_all())

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help; the brief one where nothing else is asked for."""
        params = self.params
        if self.name in BRIEF and not ctx.meta.get(__name__):
            self.params = [_brief(one) for one in params if one.name in BRIEF[self.name] | {"help_all"}]
        try:
            super().format_help(ctx, formatter)
        finally:
            self.params = params


def _help_all() -> Any:
    """The option `--help-all`, as typer makes it of a parameter."""

    def command(
        help_all: bool = typer.Option(
            False,
            "--help-all",
            is_eager=True,
            expose_value=False,
            callback=_say_all,
            help="Show every setting and exit.",
        ),
    ) -> None: ...

    app = typer.Typer(add_completion=False)
    app.command()(command)
    return next(one for one in typer.main.get_command(app).params if one.name == "help_all")


def _say_all(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        ctx.meta[__name__] = True
        typer.echo(ctx.get_help())
        raise typer.Exit


def _brief(param: Any) -> Any:
    """The parameter with the first part of its help, and its default."""
    one = copy.copy(param)
    one.rich_help_panel, one.show_default = None, False
    one.metavar = (one.metavar or "").partition(" ")[0] or None
    told, _, notes = (one.help or "").partition(" [dim]")
    default = re.search(r"default: ([^\]]*[^\]0,][^\],]*)\]", notes)
    one.help = re.split(r"[;.] |\.$", told)[0] + (
        f" [dim]({default[1]})[/]" if default and len(default[1]) < LONGEST else ""
    )
    return one
