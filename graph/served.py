"""The graph as LangGraph's server and Studio serve it: what `langgraph.json` names.

The game's settings are those of the file that ANYPREFER_SETTINGS names, or the defaults. A run's context (or an
assistant's) may change what `Choices` lists. Pages of other sites can reach a server of this machine, so a context names
no code and no file of settings, and a model behind a URL only where it is on this machine or where the settings name it;
`langgraph.json` lets Studio's page alone in.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import RunnableConfig, RunnablePassthrough
from langgraph_sdk.runtime import ServerRuntime
from pydantic import BaseModel, ConfigDict, Field, create_model

from anyprefer.core.errors import SettingsError
from anyprefer.core.own_code import is_own_code
from anyprefer.core.server_settings import below
from anyprefer.core.settings import RunSettings, Settings, load_settings
from anyprefer.graph.build import state_graph
from anyprefer.graph.game_graph import Graph
from anyprefer.graph.players import ROLES
from anyprefer.graph.review import with_node, with_review

SETTINGS = "ANYPREFER_SETTINGS"
"""The environment variable of a TOML file of settings."""
FOLDER = "ANYPREFER_REVIEWS"
"""The one of the folder where reviewed tasks are kept, a run folder for each choice of settings."""
DEFAULT_FOLDER = "runs/reviewed"
CHOSEN = (
    "target", "judge", "judge_form", "reward", "engine", "tools", "task_field", "system", "candidates", "temperature",
    "max_new_tokens", "pair", "min_margin", "threshold", "max_rounds", "feedback", "seed",
)  # fmt: skip
_NAMES = (*ROLES, "judge_form", "pair")
_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_HERE = ("127.0.0.1", "localhost", "::1")


async def served(config: RunnableConfig, runtime: ServerRuntime) -> Graph:  # type: ignore[type-arg, unused-ignore]
    """The compiled graph that a run plays, or one without players for who reads schemas and states.

    Raises `SettingsError` for a context that names what it may not, and as `build_graph` does.
    """
    if runtime.execution_runtime is None:
        return await asyncio.to_thread(_drawn)
    asked = config.get("configurable") or {}
    values = {name: asked[name] for name in Choices.model_fields if asked.get(name) is not None}
    return await asyncio.to_thread(_played, json.dumps(values, sort_keys=True))


@lru_cache(maxsize=1)
def _drawn() -> Graph:
    nobody = FakeListChatModel(responses=[])
    graph = with_node(state_graph(target=nobody, judge=nobody, tools=[]), RunnablePassthrough())
    graph.context_schema = cast("Any", Choices)
    return graph.compile()


@lru_cache(maxsize=2)
def _played(chosen: str) -> Graph:
    """Kept, since a model that is loaded belongs to it."""
    values = json.loads(chosen)
    review = values.pop("review", "no")
    base = load_settings(os.environ.get(SETTINGS) or None)[0]
    _check(values, base)
    graph = state_graph(base, **values)
    graph.context_schema = cast("Any", Choices)
    if review != "no":
        folder = Path(os.environ.get(FOLDER) or DEFAULT_FOLDER)
        graph = with_review(graph, folder / graph.settings.digest(), review)
    return graph.compile()


def _check(values: Mapping[str, Any], base: RunSettings) -> None:
    """Raises `SettingsError` for what a context may not name."""
    for name in _NAMES:
        given = str(values.get(name, ""))
        if given != getattr(base, name) and is_own_code(given):
            raise SettingsError(f"{name} {given!r} is code; name it in the settings file ({SETTINGS})")
        if not all(_may_be_asked(url, base) for url in _URL.findall(given)):
            raise SettingsError(
                f"{name} {given!r} is at a server that the settings file ({SETTINGS}) does not name; "
                'add a table [servers."URL"] to it'
            )
    for tool in values.get("tools", ()):
        if tool not in base.tools and is_own_code(tool):
            raise SettingsError(f"tool {tool!r} is code; name it in the settings file ({SETTINGS})")


def _may_be_asked(url: str, base: RunSettings) -> bool:
    """OpenAI itself, this machine, and what the settings name."""
    named = (*base.servers, *(one for role in ROLES for one in _URL.findall(getattr(base, role))))
    return urlsplit(url).hostname in _HERE or any(below(url, one) for one in named)


def _choices() -> type[BaseModel]:
    """The settings a context may change, as Studio shows them."""
    fields: dict[str, Any] = {name: _field(name) for name in CHOSEN}
    review = Field("no", description="Which pairs a person is asked about: none, those that are accepted, or all.")
    fields["review"] = (Literal["no", "accepted", "all"], review)
    return create_model("Choices", __config__=ConfigDict(extra="ignore"), **fields)


def _field(name: str) -> tuple[Any, Any]:
    known = Settings.model_fields[name]
    return known.annotation | None, Field(None, description=known.description)  # type: ignore[operator]


Choices = _choices()
