"""`anyprefer config`: the settings in force, as a settings file."""

from __future__ import annotations

from typing import Any

import tomlkit
import typer
from tomlkit.items import Item

from anyprefer.cli.apps import App, chosen_app
from anyprefer.cli.flags import PANELS, Values, flags, settings_from
from anyprefer.cli.synth import Config
from anyprefer.core.server_settings import ServerSettings
from anyprefer.core.settings import Origin, RunSettings, Settings


@flags(RunSettings, into="values", panels=PANELS)
def config(config: Config = None, app: App = None, *, values: Values) -> None:
    """Print all settings in force, as TOML that --config takes.

    A comment says where each value comes from: default, app, file or flag.

    [bold]anyprefer config > settings.toml[/]
    [bold]anyprefer config --config settings.toml --threshold 7[/]
    """
    typer.echo(as_toml(*settings_from(config, values, chosen_app(app).values)), nl=False)


def as_toml(settings: RunSettings, origins: dict[str, Origin]) -> str:
    """The settings as a TOML document, each value with its origin and meaning as a comment."""
    document, shown = tomlkit.document(), settings.model_dump()
    for panel, names in PANELS.items():
        if document:
            document.add(tomlkit.nl())
        document.add(tomlkit.comment(f"{panel} ({_about(names[0])})"))
        for name in names:
            field = RunSettings.model_fields[name]
            item = _item(shown.get(name, field.get_default(call_default_factory=True)))  # a key is never shown
            item.comment(f"{origins[name]}; {field.description}")
            document.add(name, item)
    return tomlkit.dumps(document)


def _about(name: str) -> str:
    """What the type of a setting says of it."""
    if name in Settings.model_fields:
        return "decides a row"
    return (
        "of every server without a table in `servers`"
        if name in ServerSettings.model_fields
        else "how a run is carried out"
    )


def _item(value: Any) -> Item:
    if isinstance(value, dict):
        table = tomlkit.inline_table()
        table.update(value)
        return table
    item: Item = tomlkit.item(list(value) if isinstance(value, tuple) else value)
    return item
