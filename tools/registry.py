"""Finds tools: files in this folder, package entry points, objects given to `build_graph`.

A package offers a tool through the entry-point group `anyprefer.tools`, naming a `@tool` function
or any LangChain tool.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, cast

from langchain_core.tools import BaseTool
from pydantic import BaseModel, ConfigDict, create_model

import anyprefer.tools as here
from anyprefer.graph.errors import ToolError
from anyprefer.graph.state import Candidate, Task
from anyprefer.tools.base import KnowledgeTool, injected

_OURS = ("base", "limits", "registry")


def as_knowledge_tool(given: BaseTool) -> KnowledgeTool:
    """A plain LangChain tool as a knowledge tool that looks at the task, or at the candidate when it
    takes an argument named `candidate` (then it is passed the candidate's text, and all texts as `candidates`)."""
    if isinstance(given, KnowledgeTool):
        return given
    wants = injected(given.args)

    async def call(**arguments: Any) -> Any:
        return await given.ainvoke({name: _plain(value) for name, value in arguments.items()})

    return KnowledgeTool(
        name=given.name,
        description=given.description,
        args_schema=_without(given, wants),
        function=call,
        looks_at="candidate" if "candidate" in wants else "task",
        wants=wants,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Task):
        return value.text
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.text if isinstance(value, Candidate) else value


def _without(given: BaseTool, names: Sequence[str]) -> Any:
    model = cast("type[BaseModel]", given.get_input_schema())
    fields: dict[str, Any] = {
        name: (field.annotation, field) for name, field in model.model_fields.items() if name not in names
    }
    return create_model(f"{given.name}_arguments", __config__=ConfigDict(extra="forbid"), **fields)


def available_tools() -> dict[str, KnowledgeTool]:
    """Every tool that can be named in the settings, by name: shipped files first, then entry points.

    Raises `ToolError` when two tools share a name, or a file or an entry point cannot be loaded.
    """
    found: dict[str, KnowledgeTool] = {}
    for name in _files():
        for tool in _tools_of(name):
            _add(found, tool, f"tools/{name}.py")
    for point in entry_points(group="anyprefer.tools"):
        try:
            loaded = point.load()
        except Exception as error:
            raise ToolError(f"tool entry point {point.name} ({point.value}) cannot be loaded: {error}") from error
        _add(found, as_knowledge_tool(loaded), point.value)
    return found


def _files() -> list[str]:
    found = pkgutil.iter_modules(here.__path__)
    return [module.name for module in found if module.name not in _OURS and not module.ispkg]


def _tools_of(file: str) -> list[KnowledgeTool]:
    return [value for value in vars(_imported(file)).values() if isinstance(value, KnowledgeTool)]


def _known_among(names: set[str]) -> dict[str, KnowledgeTool]:
    """The named tools, imported alone where each is in the file of its name; every tool otherwise, since
    importing them all costs half a second."""
    own = {name: tool for name in names.intersection(_files()) for tool in _tools_of(name) if tool.name == name}
    return own if own.keys() == names else available_tools()


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"anyprefer.tools.{name}")
    except Exception as error:
        raise ToolError(f"tools/{name}.py cannot be loaded: {type(error).__name__}: {error}") from error


def _add(found: dict[str, KnowledgeTool], new: KnowledgeTool, where: str) -> None:
    if new.name in found and found[new.name] is not new:
        raise ToolError(f"two tools are named {new.name!r}; rename the one in {where}")
    found[new.name] = new


def load_tools(
    chosen: Sequence[str | BaseTool], options: Mapping[str, Mapping[str, Any]] | None = None
) -> list[KnowledgeTool]:
    """The tools named or given, in order, with their options set.

    Raises `ToolError` for an unknown name (suggesting the near one), a name given twice, or options
    for a tool that is not chosen.
    """
    known = _known_among({item for item in chosen if isinstance(item, str)})
    options = options or {}
    tools: dict[str, KnowledgeTool] = {}
    for item in chosen:
        if isinstance(item, str) and item not in known:
            near = difflib.get_close_matches(item, known, n=1)
            mend = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(known))}"
            raise ToolError(f"unknown tool {item!r}; {mend}")
        tool = known[item] if isinstance(item, str) else as_knowledge_tool(item)
        if tool.name in tools:
            raise ToolError(f"tool {tool.name!r} is given twice")
        tools[tool.name] = tool.with_options(**options.get(tool.name, {}))
    for name in options:
        if name not in tools:
            raise ToolError(f"tool_options names {name!r}, which is not among the tools: {', '.join(tools) or 'none'}")
    return list(tools.values())
