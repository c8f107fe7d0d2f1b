"""`anyprefer apps`, and `--app` of the commands that play one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from anyprefer.cli import completion
from anyprefer.cli.console import out, table

if TYPE_CHECKING:
    from anyprefer.training.applications.application import Application

App = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="NAME[:SCALE]",
        autocompletion=completion.apps,
        help="An application or its .toml file; players, tools, tasks: see `anyprefer apps`. --config and flags win over it.",
    ),
]


@dataclass(frozen=True)
class Chosen:
    """What `--app` named; empty without it."""

    app: Application | None = None
    scale: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    """The values of `Settings` it sets."""

    @property
    def label(self) -> str:
        """`natural-language-embedded`: for folders."""
        return f"{self.app.name}-{self.scale}" if self.app else ""


def chosen_app(given: str | None) -> Chosen:
    """The application and scale of `--app`. Raises `SettingsError` for one there is not."""
    if not given:
        return Chosen()
    from anyprefer.training.applications.application import application_and_scale

    app, scale = application_and_scale(given)
    return Chosen(app, scale, app.values(scale))


def apps(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Print this one's TOML.", autocompletion=completion.apps)
    ] = None,
) -> None:
    """List the applications, or print one as the TOML file it is.

    A printed one, changed, is an application of your own: --app FILE.toml.

    [bold]anyprefer apps[/]
    [bold]anyprefer apps natural-language > mine.toml[/]
    """
    from anyprefer.training.applications.application import (
        application_file,
        list_applications,
        load_application,
    )

    if name:
        load_application(name)
        typer.echo(application_file(name).read_text(encoding="utf-8"), nl=False)
        return
    shown = table("application", "what", "scales", "tools", "benchmarks")
    for one in map(load_application, list_applications()):
        shown.add_row(Text(one.name, "bold"), f"{one.title}. {one.description}", *_by_scale(one), end_section=True)
    console = out()
    console.print(shown)
    console.print(Text("play one with anyprefer synth --app NAME:SCALE or anyprefer iterate --app NAME:SCALE", "dim"))


def _by_scale(app: Application) -> tuple[str, str, str]:
    """Scales with their models, and each one's tools and benchmarks, a line a scale."""
    settings = {name: app.settings(name) for name in app.scales}
    return (
        "\n".join(f"{name}: {one.target}, judge {one.judge}" for name, one in settings.items()),
        "\n".join(", ".join(one.tools) or "none" for one in settings.values()),
        "\n".join(", ".join(app.measured(name)) or "none" for name in app.scales),
    )
