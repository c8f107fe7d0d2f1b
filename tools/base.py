"""How a knowledge tool is declared: a function with `@tool` above it.

The signature says everything:

- parameters named `task` and `candidate` are passed by the game; a tool that has `candidate` looks
  at one candidate (`looks_at == "candidate"`), any other looks at the task alone (§2.2, Algorithm 1
  step 2: the paper speaks of both). Beside `candidate` it may take `candidates`, all of the round's,
  for verdicts that only a comparison can give;
- other positional parameters are the judge's to fill; one named `query` defaults to the task's prompt;
- keyword-only parameters are options the user sets under `[tool_options.NAME]`; the judge never sees them.

It returns text, or a `Finding` when it has a verdict or structured data. It may be async.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, cast, overload

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from anyprefer.core.background_loop import exit_as_error
from anyprefer.core.errors import AnypreferError, InputError, ToolError
from anyprefer.core.errors import ToolFailure as ToolFailure
from anyprefer.core.images import image_url, images_of
from anyprefer.core.listening import unheard
from anyprefer.core.records import Finding as Finding
from anyprefer.core.values import as_text
from anyprefer.tools.time_limits import in_daemon_thread

QUICK_TEXT = 20_000
"""Characters of all that a quick tool is given up to which it is run in the event loop."""
_ENCODER = json.JSONEncoder(allow_nan=False)
_INJECTED = ("task", "candidate", "candidates")


class _Arguments(BaseModel):
    """Base of the arguments a judge may pass; an unknown one is an error it can read."""

    model_config = ConfigDict(extra="forbid")


class _Options(BaseModel):
    """Base of the options a user may set."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class KnowledgeTool(BaseTool):
    """A LangChain tool (it traces and binds as one) that also says what it looks at.

    `args_schema` holds the judge's arguments only. `ainvoke` takes those, plus what the function
    `wants`, and returns what the function returned.
    """

    function: Callable[..., Any]
    looks_at: Literal["task", "candidate"] = "task"
    wants: tuple[str, ...] = ()
    """Which of `task`, `candidate` and `candidates` the function takes."""
    options: tuple[str, ...] = ()
    """Names of the keyword-only options."""
    options_schema: type[BaseModel] | None = None
    """The options with their types, as the signature has them."""
    set_options: dict[str, Any] = Field(default_factory=dict)
    prepare_with: Callable[..., Any] | None = None
    quick: bool = False
    """Whether it takes no time worth a thread: on texts of at most `QUICK_TEXT` it is run where it is called."""
    alone: bool = False
    """Whether its uses take turns, since its model answers one at a time: one that waits runs out of no time."""

    @property
    def arguments(self) -> Mapping[str, FieldInfo]:
        """The judge's arguments by name; `args` makes a JSON schema of them, which takes longer than most uses."""
        return cast("type[BaseModel]", self.args_schema).model_fields

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """One use. LangChain's machinery around it is entered only where somebody listens."""
        if not isinstance(input, dict) or not unheard(config):
            return await super().ainvoke(input, config, **kwargs)
        return await self._arun(**self._to_args_and_kwargs(input, None)[1])

    async def found(self, inputs: Mapping[str, Any]) -> Finding:
        """One use as a finding, with the seconds it took."""
        begun = time.perf_counter()
        finding = as_finding(await self.ainvoke(dict(inputs)))
        seconds = time.perf_counter() - begun if finding.seconds is None else finding.seconds
        return replace(finding, seconds=round(seconds, 6))

    def with_options(self, **options: Any) -> KnowledgeTool:
        """The same tool with options set; an unknown one, or one of another type than the signature's, raises
        `ToolError`."""
        for name in options:
            if name not in self.options:
                known = ", ".join(self.options) or "none"
                raise ToolError(f"tool {self.name!r} has no option {name!r}; it has: {known}")
        return self.model_copy(update={"set_options": {**self.set_options, **self._checked(options)}})

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        if self.options_schema is None or not options:
            return options
        try:
            checked = self.options_schema.model_validate(options)
        except ValidationError as error:
            first = error.errors()[0]
            raise ToolError(
                f"tool {self.name!r}: option {'.'.join(map(str, first['loc']))} is {first['input']!r}: {first['msg']}"
            ) from None
        return {name: getattr(checked, name) for name in options}

    def preparation(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Decorates a function of the options that runs once before any task: it opens what takes long
        and raises a clear error for what cannot be used."""
        self.prepare_with = function
        return function

    def prepare(self) -> None:
        """Runs the preparation with the options that are set. Raises the framework's errors as they are and
        `ToolError` for any other."""
        if self.prepare_with is None:
            return
        try:
            self.prepare_with(**self.set_options)
        except AnypreferError:
            raise
        except Exception as error:
            raise ToolError(f"tool {self.name!r} cannot be prepared: {type(error).__name__}: {error}") from error

    def with_instruction(self, instruction: str) -> KnowledgeTool:
        """The same tool as the judge sees it after its instruction was rewritten."""
        return self if instruction == self.description else self.model_copy(update={"description": instruction})

    def _to_args_and_kwargs(self, tool_input: Any, tool_call_id: str | None) -> tuple[tuple[()], dict[str, Any]]:
        """Validates the judge's arguments; injected values pass through as they are."""
        given = dict(tool_input) if isinstance(tool_input, dict) else {"query": tool_input}
        injected = {name: given.pop(name) for name in self.wants if name in given}
        checked = cast("type[BaseModel]", self.args_schema).model_validate(given)
        arguments = {name: getattr(checked, name) for name in self.arguments}
        return (), {**arguments, **injected, **self.set_options}

    def _run(self, **kwargs: Any) -> Any:
        if inspect.iscoroutinefunction(self.function):
            return asyncio.run(self.function(**kwargs))
        return self.function(**kwargs)

    async def _arun(self, **kwargs: Any) -> Any:
        if not inspect.iscoroutinefunction(self.function) and not self.at_once(kwargs):
            return await in_daemon_thread(functools.partial(self.function, **kwargs), self.name)
        try:
            found = self.function(**kwargs)
            return await found if inspect.isawaitable(found) else found
        except (SystemExit, KeyboardInterrupt) as raised:
            exit_as_error(raised, f"tool {self.name}")
            raise

    def at_once(self, given: Mapping[str, Any]) -> bool:
        """Whether a use with these inputs is quick enough for the event loop."""
        if not self.quick:
            return False
        texts = [given[name] for name in ("task", "candidate") if name in given]
        texts += given.get("candidates", ()) if "candidates" in self.wants else ()
        return sum([len(one.text) for one in texts]) <= QUICK_TEXT


@overload
def tool(function: Callable[..., Any], /) -> KnowledgeTool: ...


@overload
def tool(*, quick: bool = False, alone: bool = False) -> Callable[[Callable[..., Any]], KnowledgeTool]: ...


def tool(
    function: Callable[..., Any] | None = None, *, quick: bool = False, alone: bool = False
) -> KnowledgeTool | Callable[[Callable[..., Any]], KnowledgeTool]:
    """Declare a knowledge tool; see the module's docstring. Its docstring's text is what the judge reads.

    `@tool(quick=True)` is for a function that computes for far less than a millisecond and cannot hang,
    `@tool(alone=True)` for one whose model answers one use at a time.
    Raises `ToolError` for a function without a docstring or without type hints on the judge's arguments.
    """
    if function is None:
        return functools.partial(_declared, quick=quick, alone=alone)
    return _declared(function, quick, alone)


def _declared(function: Callable[..., Any], quick: bool, alone: bool) -> KnowledgeTool:
    name = function.__name__
    description = inspect.getdoc(function)
    if not description:
        raise ToolError(f"tool {name!r} needs a docstring: it tells the judge when to use the tool")
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    fields: dict[str, Any] = {}
    wants = injected(parameter.name for parameter in parameters)
    for parameter in parameters:
        if parameter.name in wants or parameter.kind is parameter.KEYWORD_ONLY:
            continue
        if parameter.annotation is parameter.empty:
            raise ToolError(f"tool {name!r}: parameter {parameter.name!r} needs a type hint")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (parameter.annotation, default)
    options = {p.name: _typed(p) for p in parameters if p.kind is p.KEYWORD_ONLY}
    return KnowledgeTool(
        name=name,
        description=description,
        args_schema=create_model(f"{name}_arguments", __base__=_Arguments, **fields),
        function=function,
        looks_at="candidate" if "candidate" in wants else "task",
        wants=wants,
        options=tuple(options),
        options_schema=create_model(f"{name}_options", __base__=_Options, **options),
        quick=quick,
        alone=alone,
    )


def _typed(option: inspect.Parameter) -> Any:
    annotation = Any if option.annotation is option.empty else option.annotation
    return annotation, None if option.default is option.empty else option.default


def injected(names: Iterable[str]) -> tuple[str, ...]:
    """Those of a tool's parameters that the game passes; `candidates` is one beside `candidate` only."""
    found = set(names)
    return tuple(name for name in _INJECTED if name in found and (name != "candidates" or "candidate" in found))


def as_finding(result: Any) -> Finding:
    """What a tool returned as a `Finding`; plain values become its text (and data, when structured)."""
    finding = result if isinstance(result, Finding) else Finding(as_text(result))
    if finding.images:
        finding = replace(finding, images=_images(finding.images))
    data = finding.data if isinstance(result, Finding | str) else result
    if data is None:
        return finding
    # a finding that has no JSON form is the tool's error, found here
    return replace(finding, data=json.loads(_ENCODER.encode(data)))


def _images(given: Sequence[Any]) -> tuple[str, ...]:
    """The images as texts; one that cannot be read is the tool's error, found here."""
    found = images_of(list(given), roots=None)
    if found is None:
        raise InputError("a finding's images are paths, URLs, bytes or PIL images")
    for image in found:
        image_url(image)
    return tuple(found)


def failure_text(error: Exception) -> str:
    """Why there is no finding, as it is written into `Knowledge.error`."""
    return str(error) if isinstance(error, ToolFailure) else f"{type(error).__name__}: {error}"
