"""Finds tools: files in this folder and in those in it, package entry points, objects given to `build_graph`.

A package offers a tool through the entry-point group `anyprefer.tools`, naming a `@tool` function
or any LangChain tool.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from langchain_core.tools import BaseTool
from pydantic import BaseModel, ConfigDict, create_model

from anyprefer.core.errors import ToolError
from anyprefer.core.own_code import own_module
from anyprefer.core.records import Candidate
from anyprefer.core.registry import Registry
from anyprefer.core.task import Task
from anyprefer.tools.base import KnowledgeTool, injected, tool


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


class _Tools(Registry):
    """A file declares tools under their own names, several where it likes; a package's may be any LangChain tool."""

    def get(self, name: str) -> KnowledgeTool:
        """The tool of a name."""
        found = super().get(name)
        try:
            return as_knowledge_tool(found)
        except ToolError as error:
            raise ToolError(f"{self.origin(name)}: {error}") from error

    def offered(self, name: str, module: Any) -> Any:
        """The function's name is the tool's."""
        return getattr(module, name)


TOOLS = _Tools("tool", "anyprefer.tools", ToolError, declared=r"^@tool\b.*\n(?:async )?def (\w+)")
"""Every tool that can be named in the settings."""


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
    return [TOOLS.get(item)]


def _own_tools(file: str) -> list[KnowledgeTool]:
    module = own_module(file)
    found = [one for one in vars(module).values() if isinstance(one, BaseTool)]
    own = [one for one in found if not isinstance(one, KnowledgeTool) or one.function.__module__ == module.__name__]
    if not own:
        raise ToolError(f"{file} defines no tool; put @tool above a function (from anyprefer.tools import tool)")
    return [as_knowledge_tool(one) for one in own]
