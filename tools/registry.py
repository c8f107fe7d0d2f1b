"""Finds tools: files in this folder, package entry points, objects given to `build_graph`.

A package offers a tool through the entry-point group `anyprefer.tools`, naming a `@tool` function
or any LangChain tool.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, cast

from langchain_core.tools import BaseTool
from pydantic import BaseModel, ConfigDict, create_model

import anyprefer.tools as here
from anyprefer.core.errors import ToolError
from anyprefer.core.own_code import is_own_code, load_own, own_module
from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.tools.base import KnowledgeTool, injected, tool

_OURS = ("base", "limits", "registry")
_NO_TOOLS = ("arithmetic", "spelling", "stated")


def as_knowledge_tool(given: BaseTool | Callable[..., Any]) -> KnowledgeTool:
    """A plain LangChain tool as a knowledge tool that looks at the task, or at the candidate when it
    takes an argument named `candidate` (then it is passed the candidate's text, and all texts as `candidates`).
    A function is declared as `@tool` does. Raises `ToolError` for anything else."""
    if isinstance(given, KnowledgeTool):
        return given
    if not isinstance(given, BaseTool):
        if not inspect.isroutine(given):
            raise ToolError(f"{given!r} is no tool; give a tool's name, a LangChain tool or a function")
        return tool(given)
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
        for one in _tools_of(name):
            _add(found, one, f"tools/{name}.py")
    for point in entry_points(group="anyprefer.tools"):
        _add(found, plugged(point), point.value)
    return found


def _files() -> list[str]:
    found = pkgutil.iter_modules(here.__path__)
    return [module.name for module in found if module.name not in _OURS and not module.ispkg]


def _tools_of(file: str) -> list[KnowledgeTool]:
    return [value for value in vars(_imported(file)).values() if isinstance(value, KnowledgeTool)]


def _named(name: str) -> KnowledgeTool | None:
    """The tool of a name: from the shipped file of that name, any shipped file, or the entry point of that name.
    Nothing else is imported, since that costs time and runs the code of packages nobody asked for."""
    for files in ([name] if name in _files() else [], _files()):
        for one in (one for file in files for one in _tools_of(file)):
            if one.name == name:
                return one
    points = [point for point in entry_points(group="anyprefer.tools") if point.name == name]
    return plugged(points[0]) if points else None


def plugged(point: EntryPoint) -> KnowledgeTool:
    """The tool of an entry point. Raises `ToolError` when it cannot be loaded."""
    try:
        return as_knowledge_tool(point.load())
    except (Exception, SystemExit) as error:
        raise ToolError(f"tool entry point {point.name} ({point.value}) cannot be loaded: {error}") from error


def _unknown(name: str) -> ToolError:
    known = sorted({*_files(), *(point.name for point in entry_points(group="anyprefer.tools"))} - set(_NO_TOOLS))
    near = difflib.get_close_matches(name, known, n=1)
    fix = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
    return ToolError(f"unknown tool {name!r}; {fix} Your own: ./FILE.py or package.module:NAME")


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
    chosen: str | BaseTool | Callable[..., Any] | Sequence[str | BaseTool | Callable[..., Any]],
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[KnowledgeTool]:
    """The tools named or given, in order, with their options set; one alone needs no list.

    A name is a shipped tool's or a package's; `FILE.py` is every tool in a file, `FILE.py:NAME` and
    `package.module:NAME` one of the user's own. Functions are declared as `@tool` does.

    Raises `ToolError` for an unknown name (suggesting the near one), a name given twice, or options
    for a tool that is not chosen.
    """
    given = chosen if isinstance(chosen, Iterable) and not isinstance(chosen, str | BaseTool) else [chosen]
    options = options or {}
    tools: dict[str, KnowledgeTool] = {}
    for one in (one for item in given for one in _meant(item)):
        if one.name in tools:
            raise ToolError(f"tool {one.name!r} is given twice")
        tools[one.name] = one.with_options(**options.get(one.name, {}))
    for name in options:
        if name not in tools:
            raise ToolError(f"tool_options names {name!r}, which is not among the tools: {', '.join(tools) or 'none'}")
    return list(tools.values())


def _meant(item: str | BaseTool | Callable[..., Any]) -> list[KnowledgeTool]:
    if not isinstance(item, str):
        return [as_knowledge_tool(item)]
    if item.endswith(".py"):
        return _own_tools(item)
    if is_own_code(item):
        return [as_knowledge_tool(load_own(item))]
    if found := _named(item):
        return [found]
    raise _unknown(item)


def _own_tools(file: str) -> list[KnowledgeTool]:
    module = own_module(file)
    found = [one for one in vars(module).values() if isinstance(one, BaseTool)]
    own = [one for one in found if not isinstance(one, KnowledgeTool) or one.function.__module__ == module.__name__]
    if not own:
        raise ToolError(f"{file} defines no tool; put @tool above a function (from anyprefer.tools import tool)")
    return [as_knowledge_tool(one) for one in own]
